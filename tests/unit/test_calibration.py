"""Reliability, and the temperature fitted on validation answers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from scipy.special import log_softmax, softmax

from digits.errors import DataError
from digits.evaluation.calibration import fit_temperature, reliability


def calibrated(count, seed=0):
    """Logits that are as often right as they say, with the labels."""
    random = np.random.default_rng(seed)
    logits = 2.5 * random.normal(size=(count, 10))
    cumulated = softmax(logits, axis=1).cumsum(axis=1)
    labels = (random.random((count, 1)) > cumulated).sum(axis=1).clip(0, 9)
    return logits.astype(np.float32), labels


@pytest.mark.parametrize("wrong_by", [0.25, 1.0, 3.0])
def test_temperature_undoes_the_factor_that_logits_are_wrong_by(wrong_by):
    logits, labels = calibrated(20_000)
    assert fit_temperature(logits * np.float32(wrong_by), labels) == pytest.approx(
        wrong_by, rel=0.05
    )


def test_temperature_is_where_the_loss_is_least():
    logits, labels = calibrated(4000, seed=3)
    logits *= 2
    found = fit_temperature(logits, labels)

    def loss(temperature):
        return -log_softmax(logits / temperature, axis=1)[np.arange(len(labels)), labels].mean()

    assert loss(found) < min(loss(0.9 * found), loss(1.1 * found), loss(1))


def test_calibration_lowers_the_error_on_other_data():
    logits, labels = calibrated(6000, seed=5)
    logits *= 3
    temperature = fit_temperature(logits[:3000], labels[:3000])

    def error(t):
        probabilities = softmax(logits[3000:] / t, axis=1)
        return reliability(probabilities.max(1), probabilities.argmax(1) == labels[3000:]).error

    assert error(temperature) < 0.4 * error(1)


@pytest.mark.parametrize("count", [1, 20, 180, 5000])
def test_model_that_is_always_right_is_not_made_infinitely_sure(count):
    labels = np.arange(count) % 10
    logits = np.zeros((count, 10), np.float32)
    logits[np.arange(count), labels] = 4
    sure = softmax(logits / fit_temperature(logits, labels), axis=1).max(1).mean()
    assert sure == pytest.approx((count + 1) / (count + 2), abs=2e-3)


def test_temperature_never_changes_an_answer_and_stays_in_its_range():
    labels = np.arange(50) % 10
    logits = np.zeros((50, 10), np.float32)
    logits[np.arange(50), (labels + 1) % 10] = 9  # always wrong: flatter is better, without end
    assert fit_temperature(logits, labels) == pytest.approx(20, rel=0.01)


def test_temperature_of_nothing_or_of_no_numbers_is_refused():
    with pytest.raises(DataError, match="needs validation data"):
        fit_temperature(np.zeros((0, 10), np.float32), np.zeros(0, np.int64))
    with pytest.raises(DataError, match="diverged"):
        fit_temperature(np.full((2, 10), np.nan, np.float32), np.zeros(2, np.int64))


@given(some.lists(some.tuples(some.floats(0, 1), some.booleans()), min_size=1, max_size=50))
def test_reliability_counts_every_answer_once_and_bounds_the_error(pairs):
    confidence, correct = (np.array(column) for column in zip(*pairs, strict=True))
    found = reliability(confidence, correct.astype(bool))
    assert found.counts.sum() == len(pairs)
    assert 0 <= found.error <= found.largest_gap + 1e-12 <= 1 + 1e-12
    assert np.isnan(found.accuracy[found.counts == 0]).all()
