"""Models judged by one code: each alone, two runtimes of one, two models side by side."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from digits.data.types import Digits, Split
from digits.errors import DataError
from digits.evaluation.candidates import Candidate, evaluate_candidates, steps
from digits.evaluation.classify import onnx_classifier, torch_classifier
from digits.evaluation.corruptions import CORRUPTIONS, corrupt
from digits.evaluation.metrics import report
from digits.evaluation.robustness import robustness
from digits.models.inference import Inference
from tests.integration.conftest import STANDARD


@pytest.fixture
def by_onnx(graph):
    return onnx_classifier(graph)


@pytest.fixture
def by_torch(network):
    return torch_classifier(Inference(network, mean=STANDARD.mean, std=STANDARD.std))


def reads_brightness(images):
    """Another model: the brighter, the higher the digit."""
    logits = np.zeros((len(images), 10), np.float32)
    level = images.reshape(len(images), -1).mean(1).astype(int) // 12
    logits[np.arange(len(images)), level.clip(0, 9)] = 4
    return logits


def judge(*candidates, data, seed=3, **options):
    return evaluate_candidates(candidates, data, seed=seed, **options)


def test_runtimes_are_judged_by_the_same_code_and_agree_on_every_image(by_onnx, by_torch, digits):
    (found,) = judge(Candidate({"onnx": by_onnx, "torch": by_torch}, 2.0), data=digits)
    onnx, by_network = found.runtimes["onnx"], found.runtimes["torch"]
    assert list(found.runtimes) == ["onnx", "torch"] and found.first is onnx
    np.testing.assert_array_equal(onnx.report.confusion, by_network.report.confusion)
    assert onnx.report.loss == pytest.approx(by_network.report.loss, abs=1e-4)
    # the digits as they are, in eight places, and corrupted
    assert found.agreement.count == 80 * (1 + 8 + len(CORRUPTIONS))
    assert found.agreement.disagreements == 0
    assert 0 <= found.agreement.largest_difference < 1e-3


def test_runtimes_that_differ_are_counted(by_onnx, digits):
    (found,) = judge(Candidate({"onnx": by_onnx, "other": reads_brightness}, 2.0), data=digits)
    clean = by_onnx(digits.test.images).argmax(1) != reads_brightness(digits.test.images).argmax(1)
    assert found.agreement.disagreements >= clean.sum() > 0


def test_models_side_by_side_are_judged_as_each_alone(by_onnx, digits):
    ours, theirs = Candidate({"onnx": by_onnx}, 2.0), Candidate({"other": reads_brightness}, None)
    together = judge(ours, theirs, data=digits)
    for candidate, found in zip((ours, theirs), together, strict=True):
        (alone,) = judge(candidate, data=digits)
        assert found.agreement is None
        assert found.robustness == alone.robustness
        assert found.stability == alone.stability
        np.testing.assert_array_equal(found.probabilities, alone.probabilities)
        np.testing.assert_array_equal(found.correct, found.answers == digits.test.labels)
        assert found.correct.mean() == found.first.report.accuracy


def test_robustness_is_that_of_the_corruptions_with_this_seed(by_onnx, digits):
    (found,) = judge(Candidate({"onnx": by_onnx}, 1.0), data=digits, seed=11)
    assert found.robustness == robustness(by_onnx, digits.test.images, digits.test.labels, seed=11)
    spoilt = corrupt(found.worst_corruption, digits.test.images, seed=11)
    share = (by_onnx(spoilt).argmax(1) == digits.test.labels).mean()
    assert share == min(found.robustness.values()) <= found.mean_robustness


def test_step_is_called_as_often_as_is_said(by_onnx, by_torch, digits):
    candidates = [
        Candidate({"onnx": by_onnx, "torch": by_torch}, 1.0),
        Candidate({"b": by_onnx}, 1),
    ]
    heard = []
    judge(*candidates, data=digits, step=heard.append)
    assert len(heard) == steps(candidates) == 3 + 2 * 8 + 15
    assert [name for name in heard if name in CORRUPTIONS] == list(CORRUPTIONS)


def test_temperature_of_the_model_divides_and_never_changes_an_answer(by_onnx, digits):
    (found,) = judge(Candidate({"onnx": by_onnx}, 2.5), data=digits)
    assert (found.temperature, found.fitted) == (2.5, False)
    logits = by_onnx(digits.test.images)
    assert found.first.report.loss == report(logits, digits.test.labels).loss
    assert found.calibrated.loss == pytest.approx(report(logits / 2.5, digits.test.labels).loss)
    np.testing.assert_array_equal(found.answers, logits.argmax(1))


def test_temperature_is_fitted_on_validation_only(by_onnx, digits):
    candidate = Candidate({"onnx": by_onnx}, None)
    (found,) = judge(candidate, data=digits)
    assert found.fitted
    other = np.roll(digits.test.labels, 1)  # what is judged has no part in it
    shuffled = dataclasses.replace(digits, test=Split(digits.test.images, other))
    assert judge(candidate, data=shuffled)[0].temperature == found.temperature
    learned = dataclasses.replace(digits, validation=shuffled.test)
    assert judge(candidate, data=learned)[0].temperature != found.temperature


def test_no_validation_split_means_no_calibration(by_onnx, digits):
    data = dataclasses.replace(digits, validation=digits.validation.take(np.arange(0)))
    (found,) = judge(Candidate({"onnx": by_onnx}, None), data=data)
    assert (found.temperature, found.fitted) == (None, False)
    assert found.calibrated.loss == found.first.report.loss
    assert found.calibrated.calibration_error == found.first.report.calibration_error


def only(digits: Digits, labels) -> Digits:
    chosen = np.flatnonzero(np.isin(digits.test.labels, labels))
    return dataclasses.replace(digits, test=digits.test.take(chosen))


@pytest.mark.parametrize("labels", [[4], [0, 7]])
def test_few_classes_are_an_honest_result(by_onnx, digits, labels):
    (found,) = judge(Candidate({"onnx": by_onnx}, 1.0), data=only(digits, labels))
    assert found.worst_class.label in labels
    absent = [score for score in found.classes if score.label not in labels]
    assert all(score.recall is None and score.count == 0 for score in absent)
    assert all(np.isfinite(value) for value in found.metrics().values())


def test_single_image_is_judged(by_onnx, digits):
    data = dataclasses.replace(digits, test=digits.test.take(np.array([3])))
    (found,) = judge(Candidate({"onnx": by_onnx}, 1.0), data=data)
    assert found.first.report.count == 1


def test_mistakes_are_the_wrong_answers_with_the_surest_first(by_onnx, digits):
    (found,) = judge(Candidate({"onnx": by_onnx}, 1.0), data=digits)
    wrong = found.mistakes(1000)
    assert set(wrong) == set(np.flatnonzero(found.answers != digits.test.labels))
    assert (np.diff(found.probabilities.max(1)[wrong]) <= 0).all()
    np.testing.assert_array_equal(found.mistakes(3), wrong[:3])


def test_empty_split_and_answers_that_are_no_numbers_are_refused(by_onnx, digits):
    empty = dataclasses.replace(digits, test=digits.test.take(np.arange(0)))
    with pytest.raises(DataError, match="bars: its test split is empty"):
        judge(Candidate({"onnx": by_onnx}, 1.0), data=empty)
    broken = lambda images: np.full((len(images), 10), np.nan, np.float32)  # noqa: E731
    with pytest.raises(DataError, match="NaN"):
        judge(Candidate({"onnx": by_onnx}, 1.0), Candidate({"b": broken}, 1.0), data=digits)


def test_torch_classifier_leaves_the_network_without_gradients(by_torch, network, digits):
    judge(Candidate({"torch": by_torch}, 1.0), data=digits)
    assert all(weights.grad is None for weights in network.parameters())
    assert torch.is_grad_enabled()
