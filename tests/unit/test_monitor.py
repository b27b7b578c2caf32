"""The mathematics of the drift monitor on drawn signals, whose shifts are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit

from digits.errors import DataError
from digits.monitoring.accuracy import Judged, Trust
from digits.monitoring.calibration import calibrate, drawn_means
from digits.monitoring.coding import MIX, Coding
from digits.monitoring.monitor import FEWEST, Monitor
from digits.monitoring.perturbations import PERTURBATIONS, perturbed
from digits.monitoring.signals import Signals, doubt
from digits.monitoring.strangeness import Strangeness


def drawn(
    count: int, *, seed: int, strange: float = 0.0, share: float = 1.0, offset: float = 0.0
) -> Judged:
    """Draw images of which a share is moved by ``strange``, and answers that are right as said.

    ``offset`` makes the moved ones right more or less often than they seem to be.
    """
    random = np.random.default_rng(seed)
    moved = random.random(count) < share
    far = np.where(moved, strange, 0.0)
    odds = random.normal(6 - 1.2 * far, 1.5)
    right = random.random(count) < expit(odds + np.where(moved & (strange > 0), offset, 0))
    sure = expit(np.maximum(odds, 0))
    answers = random.integers(10, size=count)
    probabilities = np.tile(((1 - sure) / 9)[:, None], 10).astype(np.float32)
    probabilities[np.arange(count), answers] = sure
    scores = {
        "doubt": doubt(probabilities),
        "novelty": (random.normal(size=count) + far).astype(np.float32),
        "distance": (random.gamma(9, 1, count) + far).astype(np.float32),
    }
    places = random.normal(size=(2, count, 8)).astype(np.float32)
    return Judged(Signals(probabilities, scores, places[0], places[1]), right)


@pytest.fixture(scope="module")
def monitor() -> Monitor:
    changed = [
        drawn(400, seed=10 + number, strange=2 + number % 3, offset=offset)
        for number, offset in enumerate((-1.5, -0.5, 0.5, 1.5) * 3)
    ]
    return Monitor.of(drawn(4000, seed=0), changed)


def alarms(monitor: Monitor, count: int, budget: float) -> float:
    """Return the share of clean windows, of images never seen before, that alarm."""
    coded = monitor.coding.code(drawn(6000, seed=1).signals)
    means = drawn_means(coded, count, windows=1000, random=np.random.default_rng(2))
    return float((monitor.chances(means, count) <= budget).mean())


@pytest.mark.parametrize("count", [20, 35, 100, 300, 1000])
def test_false_alarms_keep_to_the_budget_at_calibrated_sizes_and_between(
    monitor: Monitor, count: int
) -> None:
    assert alarms(monitor, count, 0.05) <= 0.075
    if count <= 300:  # above, what is not known of the reference itself weighs more
        assert alarms(monitor, count, 0.5) >= 0.25  # it is no budget that is never spent


def test_a_tenth_of_a_window_is_found_by_its_tail(monitor: Monitor) -> None:
    windows = [drawn(200, seed=100 + one, strange=4, share=0.1).signals for one in range(40)]
    found = [monitor.judge(window).status != "steady" for window in windows]
    assert np.mean(found) >= 0.9


def test_a_change_of_the_classes_alone_is_found_and_named(monitor: Monitor) -> None:
    window = drawn(400, seed=3).signals
    window.probabilities[:] = np.roll(window.probabilities, -window.probabilities.argmax(1)[0])
    window.probabilities[:300] = window.probabilities[window.probabilities.argmax(1) == 3][0]
    finding = monitor.judge(window)
    assert finding.shares[MIX] <= 0.001
    assert finding.status != "steady"


def test_too_few_images_are_no_verdict(monitor: Monitor) -> None:
    finding = monitor.judge(drawn(FEWEST - 1, seed=4).signals)
    assert finding.status == "unknown"
    assert finding.now is None
    assert str(FEWEST) in finding.reason


def test_harm_is_told_from_shift(monitor: Monitor) -> None:
    harmless = monitor.judge(drawn(500, seed=5, strange=1.5, share=0.5).signals, tolerated_loss=0.2)
    assert harmless.status == "shifted"
    harmful = monitor.judge(drawn(500, seed=6, strange=5).signals)
    assert harmful.status == "harmful"
    assert harmful.foreign > 0.8
    assert harmful.now is not None
    assert harmful.now.accuracy < harmful.before - 0.02


def test_a_window_may_be_larger_than_any_that_was_calibrated(monitor: Monitor) -> None:
    assert monitor.judge(drawn(3000, seed=7).signals).count == 3000


def test_the_interval_of_a_clean_window_is_narrow(monitor: Monitor) -> None:
    window = drawn(1000, seed=8)
    estimate = monitor.trust.estimate(window.signals)
    assert estimate.low <= window.right.mean() <= estimate.high
    assert estimate.high - estimate.low < 0.03


def test_intervals_cover_and_labels_narrow_them(monitor: Monitor) -> None:
    covered, widths, errors = [], [], []
    for number in range(60):
        offset = np.random.default_rng(number).normal(0, 1.2)
        window = drawn(500, seed=200 + number, strange=3.5, offset=offset)
        chosen = monitor.trust.to_label(window.signals, 50, seed=number)
        blind = monitor.trust.estimate(window.signals)
        told = monitor.trust.estimate(window.signals, chosen, window.right[chosen])
        truth = window.right.mean()
        covered.append((blind.low <= truth <= blind.high, told.low <= truth <= told.high))
        widths.append((blind.high - blind.low, told.high - told.low))
        errors.append(abs(told.accuracy - truth))
    assert np.mean(covered, axis=0).min() >= 0.85
    assert np.mean(widths, axis=0)[1] < 0.6 * np.mean(widths, axis=0)[0]
    assert np.mean(errors) <= 0.04  # of 50 labels alone it would be 0.055


def all_eights(window: Judged) -> Signals:
    """Return the signals of a window where every answer is an eight."""
    probabilities = np.sort(window.signals.probabilities, axis=1)
    probabilities[:, [8, 9]] = probabilities[:, [9, 8]]
    return replace(window.signals, probabilities=probabilities)


def test_one_answer_to_all_that_is_strange_is_believed_as_often_as_the_digit_is_usual(
    monitor: Monitor,
) -> None:
    window = drawn(500, seed=13, strange=5)
    eights = all_eights(window)
    blind = monitor.trust.estimate(eights)
    assert blind.accuracy < 0.25 < monitor.trust.estimate(window.signals).accuracy
    assert blind.high > 0.4  # there may be more eights than usual
    chosen = monitor.trust.to_label(eights, 50)
    rare = monitor.trust.estimate(eights, chosen, np.arange(len(chosen)) % 10 == 0)
    assert 0.05 < rare.accuracy < 0.15
    every = monitor.trust.estimate(eights, chosen, np.ones(len(chosen), bool))
    assert every.accuracy > 0.9


def test_more_of_one_digit_than_usual_is_no_doubt_where_nothing_is_strange(
    monitor: Monitor,
) -> None:
    clean = drawn(500, seed=14)
    plain, eights = (monitor.trust.estimate(s) for s in (clean.signals, all_eights(clean)))
    assert eights.accuracy == pytest.approx(plain.accuracy, abs=0.01)


def test_wrong_answers_raise_the_alarm_where_nothing_else_does(monitor: Monitor) -> None:
    window = drawn(300, seed=9)
    chosen = np.arange(60)
    wrong = np.zeros(60, bool)
    finding = monitor.judge(window.signals, labelled=chosen, right=wrong)
    assert finding.status != "steady"
    assert finding.loudest == "labels"
    as_said = monitor.judge(window.signals, labelled=chosen, right=window.right[chosen])
    assert as_said.shares["labels"] > 0.02


def test_all_labels_known_is_the_accuracy_itself(monitor: Monitor) -> None:
    window = drawn(100, seed=11, strange=3)
    found = monitor.trust.estimate(window.signals, np.arange(100), window.right)
    assert found.accuracy == pytest.approx(window.right.mean())
    assert found.low == found.high == pytest.approx(window.right.mean())


def test_the_doubtful_are_labelled_more_often(monitor: Monitor) -> None:
    window = drawn(1000, seed=12, strange=3).signals
    chosen = monitor.trust.to_label(window, 100)
    assert len(set(chosen.tolist())) == 100
    assert window.scores["doubt"][chosen].mean() > window.scores["doubt"].mean() + 0.5


def test_the_same_seed_calibrates_the_same() -> None:
    reference = drawn(500, seed=13).signals
    one, other = (calibrate(reference, (50, 100)) for _ in range(2))
    assert all(np.array_equal(a.least, b.least) for a, b in zip(one, other, strict=True))


def test_a_small_reference_is_refused() -> None:
    with pytest.raises(DataError, match="200 held-out images"):
        calibrate(drawn(150, seed=14).signals)


def test_answers_alone_are_enough_for_a_verdict() -> None:
    def bare(judged: Judged) -> Judged:
        return Judged(Signals.of_answers(judged.signals.probabilities), judged.right)

    changed = [bare(drawn(400, seed=20 + one, strange=2 + one)) for one in range(4)]
    monitor = Monitor.of(bare(drawn(1000, seed=0)), changed)
    assert monitor.judge(bare(drawn(300, seed=15, strange=4)).signals).status == "harmful"
    assert monitor.judge(bare(drawn(300, seed=16)).signals).status == "steady"


def test_a_window_is_judged_the_same_in_any_order(monitor: Monitor) -> None:
    window = drawn(200, seed=17, strange=1).signals
    turned = window.take(np.arange(200)[::-1])
    assert monitor.judge(window).shares == pytest.approx(monitor.judge(turned).shares)


def test_images_of_the_references_kind_are_not_foreign() -> None:
    strange = Strangeness.of(drawn(4000, seed=18).signals)
    clean = drawn(1000, seed=19)
    assert strange.foreign(strange(clean.signals)).mean() < 0.05
    assert strange(clean.signals).mean() == pytest.approx(1, abs=0.1)


def test_an_estimate_by_trust_needs_no_other_score_than_doubt() -> None:
    reference = drawn(500, seed=21)
    bare = Judged(Signals.of_answers(reference.signals.probabilities), reference.right)
    trust = Trust.of(bare, [bare, bare])
    assert trust.estimate(bare.signals).accuracy == pytest.approx(bare.right.mean(), abs=0.03)


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_a_perturbation_changes_a_copy_the_same_way_for_a_seed(name: str) -> None:
    images: NDArray[np.uint8] = np.zeros((6, 28, 28), np.uint8)
    images[:, 5:23, 10:15] = 200
    images[:, 8:11, 6:20] = 90
    images[::2] = images[::2].transpose(0, 2, 1)
    before = images.copy()
    one, other = (
        perturbed(name, images, strength=0.7, random=np.random.default_rng(0)) for _ in range(2)
    )
    assert np.array_equal(images, before)
    assert np.array_equal(one, other)
    assert one.dtype == np.uint8
    assert one.shape == images.shape
    assert not np.array_equal(one, images)


def test_statistics_are_of_means_alone() -> None:
    coding = Coding.of(drawn(500, seed=22).signals)
    coded = coding.code(drawn(100, seed=23).signals)
    twice = np.concatenate([coded, coded]).mean(0, dtype=np.float64, keepdims=True)
    once = coded.mean(0, dtype=np.float64, keepdims=True)
    assert coding.statistics(once, 100) == coding.statistics(twice, 100)
