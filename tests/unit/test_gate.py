"""The gate's rules: neither noise turns a model away, nor does a real loss pass."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from digits.promotion.gate import EXPLANATION, HISTORY, LATENCY, SIZE
from digits.promotion.measured import (
    ACCURACY,
    CALIBRATION,
    MEAN_CORRUPTION,
    WORST_CLASS,
    WORST_CORRUPTION,
)
from tests.unit.judging import gate, measured, pair_of


def verdict(ours, theirs, **limits):
    return gate(**limits).judge(ours, theirs)


def of(name, verdict):
    return next(each for each in verdict.criteria if each.name == name)


def failed(verdict):
    return [each.name for each in verdict.criteria if not each.passed]


def test_equal_models_pass_every_criterion():
    model = measured(np.arange(500) % 50 > 0)
    found = verdict(model, model)
    assert found.passed and not found.reasons
    assert found.mcnemar is not None and found.mcnemar.p_value == 1.0
    assert {each.value for each in found.differences.values()} == {0.0}


def test_without_a_champion_only_limits_of_their_own_apply():
    model = measured(np.arange(500) % 50 > 0)
    found = verdict(model, None, min_accuracy=0.9)
    assert found.passed and found.mcnemar is None and not found.differences
    assert all(each.champion is None for each in found.criteria)
    assert failed(verdict(model, None, min_accuracy=0.99)) == [ACCURACY]


@pytest.mark.parametrize(
    ("count", "gained", "lost", "passes"),
    [
        (360, 2, 5, True),  # 0.83 % on a small set: that is noise
        (360, 0, 5, False),  # 1.4 %: beyond the margin, though too few differ to be sure
        (360, 0, 6, False),
        (10_000, 30, 40, True),  # 0.1 % of noise
        (10_000, 5, 25, False),  # 0.2 %, within the margin, and real
        (10_000, 40, 30, True),
        (10_000, 200, 0, True),
    ],
)
def test_accuracy_is_lost_for_real_or_not(count, gained, lost, passes):
    ours, theirs = pair_of(count, wrong_both=10, gained=gained, lost=lost)
    everything = dict.fromkeys(
        (
            "max_worst_class_loss",
            "max_mean_corruption_loss",
            "max_worst_corruption_loss",
            "max_calibration_error_rise",
        )
    )
    found = verdict(measured(ours), measured(theirs), **everything)
    assert failed(found) == ([] if passes else [ACCURACY])
    assert f"{lost} digits lost, {gained} gained" in of(ACCURACY, found).why or passes


def test_equals_are_seldom_turned_away_and_real_losses_seldom_pass():
    # Two models that differ on 60 of 10,000 digits, over every way these may fall out.
    lost = np.arange(61)
    passes = np.array(
        [
            of(
                ACCURACY,
                verdict(*(measured(each) for each in pair_of(600, gained=60 - k, lost=k)),
                        resamples=100, max_accuracy_loss=0.2),
            ).passed
            for k in lost
        ]
    )  # fmt: skip
    assert binom.pmf(lost, 60, 0.5)[~passes].sum() < 0.025
    assert binom.pmf(lost, 60, 0.75)[passes].sum() < 0.05


def test_worst_class_may_not_fall_by_more_than_chance():
    right = np.ones(1000, bool)
    labels = np.arange(1000) % 10
    worse = right.copy()
    worse[np.flatnonzero(labels == 4)[:12]] = False
    found = verdict(measured(worse), measured(right), max_accuracy_loss=0.5)
    assert of(WORST_CLASS, found).value == pytest.approx(0.88)
    assert WORST_CLASS in failed(found)
    two = right.copy()
    two[np.flatnonzero(labels == 4)[:2]] = False
    assert WORST_CLASS not in failed(verdict(measured(two), measured(right)))


def test_few_digits_of_a_class_are_noise_beyond_the_margin_too():
    ours, theirs = pair_of(100, gained=2, lost=2)  # a tenth of two classes each way
    found = verdict(measured(ours), measured(theirs))
    assert of(WORST_CLASS, found).passed


def test_class_that_does_not_occur_is_not_the_worst():
    labels = np.arange(100) % 5
    model = measured(np.arange(100) > 3, labels=labels)
    assert of(WORST_CLASS, verdict(model, model)).value == pytest.approx(0.95)


def test_calibration_may_not_get_worse():
    right = np.arange(2000) % 10 > 0
    good, vain = measured(right, sure=4.3), measured(right, sure=9.0)
    assert failed(verdict(vain, good)) == [CALIBRATION]
    assert failed(verdict(good, vain)) == []
    assert failed(verdict(vain, None, max_calibration_error=0.05)) == [CALIBRATION]


def test_corruptions_count_on_average_and_at_their_worst():
    right = np.ones(1000, bool)
    third = np.arange(1000) % 3 > 0
    theirs = {"fog": right, "blur": right, "spatter": third}
    ours = {"fog": third, "blur": right, "spatter": right}
    found = verdict(measured(right, corrupted=ours), measured(right, corrupted=theirs))
    assert found.passed  # another one is bad, none is worse on the whole
    ours = {"fog": third, "blur": right, "spatter": third}
    found = verdict(measured(right, corrupted=ours), measured(right, corrupted=theirs))
    assert failed(found) == [MEAN_CORRUPTION]
    half = np.arange(1000) % 2 > 0
    ours = {"fog": right, "blur": right, "spatter": half}
    found = verdict(
        measured(right, corrupted=ours),
        measured(right, corrupted=theirs),
        max_mean_corruption_loss=None,
    )
    assert failed(found) == [WORST_CORRUPTION]


@pytest.mark.parametrize(
    ("changed", "limits", "name"),
    [
        ({"seconds": 0.0018}, {}, LATENCY),
        ({}, {"max_latency_ms": 0.9}, LATENCY),
        ({"onnx_bytes": 250_000}, {}, SIZE),
        ({}, {"max_size_mb": 0.09}, SIZE),
        ({"sanity": 0.35}, {}, EXPLANATION),
        ({}, {"max_explanation_similarity": 0.1}, EXPLANATION),
        ({"sanity": None}, {}, EXPLANATION),
    ],
)
def test_time_size_and_explanations_have_limits(changed, limits, name):
    right = np.ones(100, bool)
    assert failed(verdict(measured(right, **changed), measured(right), **limits)) == [name]


def test_twice_the_time_of_almost_nothing_is_not_too_slow():
    right = np.ones(100, bool)
    found = verdict(measured(right, seconds=0.0004), measured(right, seconds=0.0001))
    assert found.passed


def test_many_times_the_size_of_almost_nothing_is_not_too_large():
    right = np.ones(100, bool)
    found = verdict(measured(right, onnx_bytes=99_000), measured(right, onnx_bytes=9_000))
    assert found.passed


def test_champion_that_cannot_be_explained_is_not_compared_with():
    right = np.ones(100, bool)
    assert verdict(measured(right), measured(right, sanity=None)).passed


def test_limit_that_is_null_is_not_applied():
    right = np.ones(100, bool)
    limits = {"max_explanation_similarity_rise": None}
    assert verdict(measured(right, sanity=None), measured(right), **limits).passed


def test_explanations_may_resemble_noise_a_little_more_and_not_much_more():
    right = np.ones(100, bool)
    old = measured(right, sanity=0.25)
    limits = {"max_explanation_similarity_rise": 0.25}
    assert verdict(measured(right, sanity=0.5), old, **limits).passed  # the margin itself
    found = of(EXPLANATION, verdict(measured(right, sanity=0.625), old, **limits))
    assert found.why == "0.38 above the champion's, 0.25 is allowed"
    found = of(EXPLANATION, verdict(measured(right, sanity=None), old, **limits))
    assert found.why == "its maps are constant, or its bundle cannot rebuild its network"


def test_version_that_was_rolled_back_stays_out_unless_allowed():
    model = measured(np.ones(100, bool))
    found = gate().judge(model, model, rolled_back=True)
    told = "it was champion and was rolled back"
    assert failed(found) == [HISTORY]
    assert found.reasons == [f"{HISTORY}: {told}; let it pass with gate.allow_rolled_back=true"]
    found = gate(allow_rolled_back=True).judge(model, model, rolled_back=True)
    assert found.passed
    assert of(HISTORY, found).why == told


def test_criteria_carry_both_models_their_units_and_what_they_were_held_against():
    ours, theirs = pair_of(1000, gained=4, lost=2)
    new = measured(ours, seconds=0.002, onnx_bytes=120_000, sanity=0.22)
    old = measured(theirs, seconds=0.0018, onnx_bytes=110_000, sanity=0.21)
    limits = {
        "min_accuracy": 0.5,
        "max_latency_ms": 9.0,
        "max_size_mb": 7.0,
        "max_explanation_similarity": 0.9,
    }
    found = verdict(new, old, **limits)
    told = {
        each.name: (each.unit, each.value, each.champion, each.limit, each.margin)
        for each in found.criteria
    }
    assert told[ACCURACY] == ("share", 0.998, 0.996, 0.5, 0.01)
    assert told[LATENCY] == ("ms", 2.0, 1.8, 9.0, 1.5)
    assert told[SIZE] == ("MB", 0.12, 0.11, 7.0, 2.0)
    assert told[EXPLANATION] == ("", 0.22, 0.21, 0.9, 0.1)
    assert {each.name: each.difference for each in found.criteria if each.difference} == (
        found.differences
    )
    assert all(each.low_is_good for each in found.criteria if each.name in (LATENCY, SIZE))


def test_draws_depend_on_the_seed_and_on_nothing_else():
    ours, theirs = (measured(each) for each in pair_of(300, gained=9, lost=4))
    assert gate().judge(ours, theirs) == gate().judge(ours, theirs, seed=0)
    assert gate().judge(ours, theirs) != gate().judge(ours, theirs, seed=1)


def test_every_criterion_says_why():
    ours, theirs = pair_of(1000, lost=40)
    found = verdict(measured(ours), measured(theirs), min_accuracy=0.99)
    assert all(each.why for each in found.criteria)
    assert "96.00 %, at least 99.00 % wanted" in of(ACCURACY, found).why
    assert found.reasons[0].startswith("accuracy: 96.00 %")
