"""Accuracy against the share that is answered."""

from __future__ import annotations

import numpy as np
import pytest

from digits.evaluation.abstention import abstention

CONFIDENCE = np.array([0.6, 0.9, 0.8, 0.9, 0.5])
CORRECT = np.array([True, True, False, True, False])


def test_curve_goes_from_the_surest_answers_to_all():
    curve = abstention(CONFIDENCE, CORRECT)
    assert curve.thresholds == pytest.approx([0.9, 0.8, 0.6, 0.5])
    assert curve.coverage == pytest.approx([0.4, 0.6, 0.8, 1.0])
    assert curve.accuracy == pytest.approx([1, 2 / 3, 3 / 4, 3 / 5])


def test_reaching_an_accuracy_answers_as_much_as_it_allows():
    curve = abstention(CONFIDENCE, CORRECT)
    assert curve.reaching(1.0) == (0.4, 0.9)
    assert curve.reaching(0.7) == (0.8, 0.6)
    assert curve.reaching(0.6) == (1.0, 0.5)


def test_what_cannot_be_reached_is_none():
    assert abstention(np.array([0.7, 0.9]), np.array([True, False])).reaching(0.9) is None


def test_equal_confidence_is_answered_together_in_whatever_order_it_comes():
    same = np.full(4, 0.7)
    for correct in ([True, False, True, False], [False, False, True, True]):
        curve = abstention(same, np.array(correct))
        assert curve.coverage.tolist() == [1.0]
        assert curve.accuracy.tolist() == [0.5]


def test_risk_area_is_least_when_mistakes_are_the_least_sure():
    correct = np.arange(20) >= 5
    rising = np.linspace(0.1, 1, 20)
    assert abstention(rising, correct).risk_area < abstention(rising[::-1], correct).risk_area
    assert abstention(rising, np.ones(20, bool)).risk_area == 0
