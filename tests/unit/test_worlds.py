"""What answers can be right at all: bounds by how often digits come about, and what labels say."""

from __future__ import annotations

import numpy as np
import pytest

from digits.monitoring.worlds import FOUND, SLACK, Seen, given, worlds

USUAL = np.full(10, 0.1)
OFFSETS = np.array([-8.0, 0.0, 8.0])


def seen(shares, *, foreign=1.0, known=0.99, count=1000):
    """Answers in these shares, the other digits evenly; the images foreign or not."""
    rest = (1 - sum(shares.values())) / (10 - len(shares))
    counts = [round(count * shares.get(digit, rest)) for digit in range(10)]
    answers = np.repeat(np.arange(10), counts)
    each = np.ones(len(answers))
    return Seen(answers, known * each, foreign * each, 0 * each)


def right_eights(answered, likely):
    return likely[:, answered.answers == 8].sum(1)


def test_no_more_answers_are_right_than_there_are_digits():
    answered = seen({8: 0.7})
    bounded = right_eights(answered, answered.bounded(OFFSETS, USUAL))
    most = 100 + SLACK * 10
    assert bounded[0] < 1
    assert bounded[1:] == pytest.approx(most, rel=0.01)
    assert right_eights(answered, answered.likely(OFFSETS))[2] > 699


def test_digit_that_is_answered_too_often_is_mostly_found():
    answered = seen({8: 0.7})
    free, bounded = answered.likely(OFFSETS), answered.bounded(OFFSETS, USUAL, found=FOUND)
    eights = right_eights(answered, bounded)
    assert eights[0] == pytest.approx(FOUND * 100, rel=0.01)
    assert eights[1:] == pytest.approx(100 + SLACK * 10, rel=0.01)
    others = answered.answers != 8
    assert np.allclose(bounded[:, others], free[:, others])


def test_nothing_is_asked_of_a_digit_that_is_answered_as_often_as_it_comes_about():
    answered = seen({})
    bounded = answered.bounded(OFFSETS, USUAL, found=FOUND)
    assert np.allclose(bounded, answered.likely(OFFSETS))


def test_known_images_are_left_alone():
    answered = seen({8: 0.3}, foreign=0.0)
    bounded = answered.bounded(OFFSETS, USUAL, found=FOUND)
    assert np.allclose(bounded, 0.99)


def test_chances_stay_chances_whatever_the_bounds_ask_for():
    few = seen({8: 0.25}, foreign=0.05, known=0.0)  # only 12 of 250 can be raised
    bounded = few.bounded(OFFSETS, USUAL, found=FOUND)
    assert bounded.min() > 0 and bounded.max() < 1
    assert right_eights(few, bounded)[0] == pytest.approx(0.05 * 250)


def test_labels_that_contradict_the_bounds_are_believed():
    answered = seen({8: 0.9})
    likely, weights = worlds(answered, USUAL, offset=0.0, spread=1.0)
    assert weights.sum() == pytest.approx(1)
    labelled = np.flatnonzero(answered.answers == 8)[:40]

    def eights(right):
        told = given(weights, likely[:, labelled], right)
        assert told.sum() == pytest.approx(1)
        return float(told @ right_eights(answered, likely)) / 900

    assert eights(np.ones(40, bool)) > 0.9  # a day of eights
    assert eights(np.zeros(40, bool)) < FOUND / 9  # fewer than the bound asks for
    assert 0.08 < eights(np.arange(40) < 5) < 0.15
