"""Numbers of a classifier, against other people's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from scipy.special import softmax
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix, f1_score, log_loss

from digits.errors import DataError
from digits.evaluation.calibration import reliability
from digits.evaluation.metrics import macro_f1, report, wilson_interval


def random_answers(count=500, seed=0):
    random = np.random.default_rng(seed)
    labels = random.integers(0, 10, count)
    logits = random.normal(size=(count, 10)).astype(np.float32)
    logits[np.arange(count), labels] += 1.5
    return logits, labels


def test_report_agrees_with_scikit_learn():
    logits, labels = random_answers()
    result = report(logits, labels)
    answers = logits.argmax(1)
    assert result.count == 500
    assert result.accuracy == pytest.approx((answers == labels).mean())
    assert result.loss == pytest.approx(log_loss(labels, softmax(logits.astype(float), axis=1)))
    assert result.macro_f1 == pytest.approx(f1_score(labels, answers, average="macro"))
    assert np.array_equal(result.confusion, confusion_matrix(labels, answers))


def test_metrics_are_named_under_their_split():
    result = report(*random_answers())
    assert result.metrics("test") == {
        "test/accuracy": result.accuracy,
        "test/accuracy_low": result.low,
        "test/accuracy_high": result.high,
        "test/loss": result.loss,
        "test/calibration_error": result.calibration_error,
        "test/macro_f1": result.macro_f1,
    }


def test_wilson_interval_has_its_textbook_values():
    # Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I.
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson_interval(1, 29) == pytest.approx((0.0061, 0.1718), abs=5e-5)


@given(some.integers(1, 20_000), some.data())
def test_wilson_interval_is_scipys_and_holds_the_share(trials, data):
    successes = data.draw(some.integers(0, trials))
    low, high = wilson_interval(successes, trials)
    expected = binomtest(successes, trials).proportion_ci(method="wilson")
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert 0 <= low <= successes / trials + 1e-12
    assert successes / trials - 1e-12 <= high <= 1


def looped_calibration_error(confidence, correct):
    total = 0.0
    for lower in range(15):
        inside = (confidence > lower / 15) & (confidence <= (lower + 1) / 15)
        if inside.any():
            gap = abs(correct[inside].mean() - confidence[inside].mean())
            total += inside.sum() / len(confidence) * gap
    return total


@given(some.integers(0, 2**32 - 1), some.integers(1, 300))
def test_calibration_error_is_its_definition(seed, count):
    random = np.random.default_rng(seed)
    confidence = random.uniform(0.1, 1, count)
    correct = random.random(count) < confidence
    expected = looped_calibration_error(confidence, correct)
    assert reliability(confidence, correct).error == pytest.approx(expected, abs=1e-12)


def test_calibration_error_of_certainty():
    sure = np.ones(4)
    assert reliability(sure, np.ones(4, bool)).error == 0
    assert reliability(sure, np.zeros(4, bool)).error == 1


@given(some.lists(some.tuples(some.integers(0, 9), some.integers(0, 9)), min_size=1, max_size=60))
def test_macro_f1_is_scikit_learns(pairs):
    truth, answers = map(list, zip(*pairs, strict=True))
    confusion = confusion_matrix(truth, answers, labels=range(10))
    assert macro_f1(confusion) == pytest.approx(f1_score(truth, answers, average="macro"))


def test_single_class_is_judged():
    logits = np.zeros((3, 10), np.float32)
    logits[:, 4] = 5
    result = report(logits, np.full(3, 4))
    assert (result.accuracy, result.macro_f1, result.high) == (1, 1, 1)
    assert result.low == pytest.approx(0.4385, abs=1e-4)


def test_empty_split_is_refused():
    with pytest.raises(DataError, match="empty split"):
        report(np.zeros((0, 10), np.float32), np.zeros(0, np.int64))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_logits_that_are_no_numbers_are_refused(value):
    logits, labels = random_answers()
    logits[17, 3] = value
    with pytest.raises(DataError, match="diverged"):
        report(logits, labels)
