"""Paired comparison of two models on the same images."""

from __future__ import annotations

import numpy as np
import pytest

from digits.evaluation.calibration import reliability
from digits.evaluation.metrics import per_class, report
from digits.promotion.measured import ACCURACY, CALIBRATION, MEAN_CORRUPTION, WORST_CLASS
from digits.promotion.paired import bootstrap, mcnemar
from tests.unit.judging import measured, pair_of


@pytest.mark.parametrize(
    ("gained", "lost", "p_value"),
    [(0, 0, 1.0), (5, 5, 1.0), (0, 5, 2 * 0.5**5), (1, 8, 2 * 10 * 0.5**9), (8, 1, 20 * 0.5**9)],
)
def test_mcnemar_is_exact(gained, lost, p_value):
    ours, theirs = pair_of(100, wrong_both=7, gained=gained, lost=lost)
    found = mcnemar(ours, theirs)
    assert (found.gained, found.lost) == (gained, lost)
    assert found.p_value == pytest.approx(p_value)


def differences(ours, theirs, **options):
    given = {"resamples": 1000, "confidence": 0.95, "seed": 1} | options
    return bootstrap(ours.figures, theirs.figures, len(ours.labels), **given)


def test_interval_has_the_width_of_the_images_that_differ():
    ours, theirs = (measured(each) for each in pair_of(2000, wrong_both=500, gained=20, lost=20))
    found = differences(ours, theirs)[ACCURACY]
    # Nothing but the 40 counts: their number has a standard deviation of sqrt(40) / 2000.
    expected = 1.96 * np.sqrt(40) / 2000
    assert found.value == 0
    assert found.high == pytest.approx(expected, rel=0.15)
    assert found.low == pytest.approx(-expected, rel=0.15)


def test_less_confidence_is_a_narrower_interval():
    ours, theirs = (measured(each) for each in pair_of(2000, wrong_both=500, gained=20, lost=20))
    found = differences(ours, theirs, confidence=0.5)[ACCURACY]
    expected = 0.674 * np.sqrt(40) / 2000  # the quartiles of a normal distribution
    assert found.high == pytest.approx(expected, rel=0.15)
    assert found.low == pytest.approx(-expected, rel=0.15)


def test_as_many_resamples_as_asked_for_each_of_as_many_images():
    seen = []

    def figures(weights):
        seen.append(weights)
        return {"none": np.zeros(len(weights))}

    bootstrap(figures, figures, 30, resamples=250, confidence=0.95, seed=0)
    whole, *drawn = seen[::2]
    assert np.array_equal(whole, np.ones((1, 30)))
    assert {each.dtype for each in seen} == {np.dtype(np.float32)}
    weights = np.concatenate(drawn)
    assert weights.shape == (250, 30)
    assert (weights.sum(axis=1) == 30).all()
    assert weights.mean(axis=0) == pytest.approx(np.ones(30), abs=0.3)  # every image is drawn


def test_interval_covers_the_true_difference_about_as_often_as_it_says():
    random = np.random.default_rng(5)
    covered = 0
    for seed in range(200):
        ours, theirs = random.random((2, 400)) < np.array([[0.93], [0.90]])
        found = differences(measured(ours), measured(theirs), resamples=300, seed=seed)[ACCURACY]
        covered += found.low <= 0.03 <= found.high
    assert 180 <= covered <= 199


def test_same_seed_same_interval():
    ours, theirs = (measured(each) for each in pair_of(300, gained=9, lost=4))
    assert differences(ours, theirs) == differences(ours, theirs)
    assert differences(ours, theirs) != differences(ours, theirs, seed=2)


def test_figures_on_the_whole_are_those_of_the_evaluation():
    random = np.random.default_rng(3)
    labels = random.integers(0, 10, 700)
    right = random.random(700) < 0.9
    held = {"fog": random.random(700) < 0.7, "blur": random.random(700) < 0.5}
    model = measured(right, labels=labels, sure=3.0, corrupted=held)
    values = model.values()
    judged = report(model.logits, labels)
    assert values[ACCURACY] == pytest.approx(judged.accuracy)
    recalls = [score.recall for score in per_class(judged.confusion)]
    assert values[WORST_CLASS] == pytest.approx(min(recalls))
    error = reliability(model.probabilities.max(1), model.correct).error
    assert values[CALIBRATION] == pytest.approx(error, abs=1e-6)
    assert values[MEAN_CORRUPTION] == pytest.approx(
        np.mean([each.mean() for each in held.values()])
    )
