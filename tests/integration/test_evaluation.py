"""A model judged by one code, whatever computes it: one runtime, or two that must agree."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from digits.data.types import Digits, Split
from digits.errors import DataError
from digits.evaluation.calibration import fit_temperature
from digits.evaluation.classify import onnx_classifier, torch_classifier
from digits.evaluation.corruptions import CORRUPTIONS, corrupt
from digits.evaluation.evaluation import evaluate_classifiers, steps
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
    """Name the digit by another rule: the brighter, the higher the digit."""
    logits = np.zeros((len(images), 10), np.float32)
    level = images.reshape(len(images), -1).mean(1).astype(int) // 12
    logits[np.arange(len(images)), level.clip(0, 9)] = 4
    return logits


def judge(data, temperature=1.0, seed=3, step=lambda done: None, **classifiers):
    return evaluate_classifiers(classifiers, data, temperature=temperature, seed=seed, step=step)


def test_runtimes_are_judged_by_the_same_code_and_agree_on_every_image(by_onnx, by_torch, digits):
    found = judge(digits, onnx=by_onnx, torch=by_torch)
    onnx, by_network = found.runtimes["onnx"], found.runtimes["torch"]
    assert list(found.runtimes) == ["onnx", "torch"] and found.first is onnx
    np.testing.assert_array_equal(onnx.report.confusion, by_network.report.confusion)
    assert onnx.report.loss == pytest.approx(by_network.report.loss, abs=1e-4)
    # the digits as they are, in eight places, and corrupted
    assert found.agreement.count == 80 * (1 + 8 + len(CORRUPTIONS))
    assert found.agreement.disagreements == 0
    assert found.agreement.is_one_model


def test_runtimes_that_differ_are_counted(by_onnx, digits):
    found = judge(digits, onnx=by_onnx, other=reads_brightness)
    clean = by_onnx(digits.test.images).argmax(1) != reads_brightness(digits.test.images).argmax(1)
    assert found.agreement.disagreements >= clean.sum() > 0
    assert not found.agreement.is_one_model


def test_robustness_is_that_of_the_corruptions_with_this_seed(by_onnx, digits):
    found = judge(digits, seed=11, onnx=by_onnx)
    assert found.robustness == robustness(by_onnx, digits.test.images, digits.test.labels, seed=11)
    spoilt = corrupt(found.worst_corruption, digits.test.images, seed=11)
    share = (by_onnx(spoilt).argmax(1) == digits.test.labels).mean()
    assert share == min(found.robustness.values()) <= found.mean_robustness


def test_step_is_called_as_often_as_is_said(by_onnx, by_torch, digits):
    heard = []
    judge(digits, onnx=by_onnx, torch=by_torch, step=heard.append)
    assert len(heard) == steps({"onnx": by_onnx, "torch": by_torch}) == 2 + 8 + 15
    assert [name for name in heard if name in CORRUPTIONS] == list(CORRUPTIONS)


def test_temperature_of_the_model_divides_and_never_changes_an_answer(by_onnx, digits):
    found = judge(digits, 2.5, onnx=by_onnx)
    assert (found.temperature, found.fitted) == (2.5, False)
    logits = by_onnx(digits.test.images)
    assert found.first.report.loss == report(logits, digits.test.labels).loss
    assert found.calibrated.loss == pytest.approx(report(logits / 2.5, digits.test.labels).loss)
    np.testing.assert_array_equal(found.answers, logits.argmax(1))


def test_temperature_is_fitted_on_validation_only(by_onnx, digits):
    found = judge(digits, None, onnx=by_onnx)
    assert found.fitted
    logits = by_onnx(digits.validation.images)
    assert found.temperature == fit_temperature(logits, digits.validation.labels)
    other = np.roll(digits.test.labels, 1)  # what is judged has no part in it
    shuffled = dataclasses.replace(digits, test=Split(digits.test.images, other))
    assert judge(shuffled, None, onnx=by_onnx).temperature == found.temperature


def test_no_validation_split_means_no_calibration(by_onnx, digits):
    data = dataclasses.replace(digits, validation=digits.validation.take(np.arange(0)))
    found = judge(data, None, onnx=by_onnx)
    assert (found.temperature, found.fitted) == (None, False)
    assert found.calibrated.loss == found.first.report.loss
    assert found.calibrated.calibration_error == found.first.report.calibration_error


def only(digits: Digits, labels) -> Digits:
    chosen = np.flatnonzero(np.isin(digits.test.labels, labels))
    return dataclasses.replace(digits, test=digits.test.take(chosen))


@pytest.mark.parametrize("labels", [[4], [0, 7]])
def test_few_classes_are_an_honest_result(by_onnx, digits, labels):
    found = judge(only(digits, labels), onnx=by_onnx)
    assert found.worst_class.label in labels
    absent = [score for score in found.classes if score.label not in labels]
    assert all(score.recall is None and score.count == 0 for score in absent)
    assert all(np.isfinite(value) for value in found.metrics().values())


def test_single_image_is_judged(by_onnx, digits):
    data = dataclasses.replace(digits, test=digits.test.take(np.array([3])))
    found = judge(data, onnx=by_onnx)
    assert found.first.report.count == 1


def test_mistakes_are_the_wrong_answers_with_the_surest_first(by_onnx, digits):
    found = judge(digits, onnx=by_onnx)
    wrong = found.mistakes(1000)
    assert set(wrong) == set(np.flatnonzero(found.answers != digits.test.labels))
    assert (np.diff(found.probabilities.max(1)[wrong]) <= 0).all()
    np.testing.assert_array_equal(found.mistakes(3), wrong[:3])


def test_empty_split_and_answers_that_are_no_numbers_are_refused(by_onnx, digits):
    empty = dataclasses.replace(digits, test=digits.test.take(np.arange(0)))
    with pytest.raises(DataError, match="bars: its test split is empty"):
        judge(empty, onnx=by_onnx)
    broken = lambda images: np.full((len(images), 10), np.nan, np.float32)  # noqa: E731
    with pytest.raises(DataError, match="NaN"):
        judge(digits, onnx=by_onnx, broken=broken)
