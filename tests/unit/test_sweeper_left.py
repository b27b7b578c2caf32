"""What a sweep that goes on still has to do, and how it ends what nobody could write down."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

pytest.importorskip("ray.tune")

from ray.tune.schedulers import FIFOScheduler

from hydra_plugins.ray_tune_sweeper._journal import (
    FAILED,
    FINISHED,
    INTERRUPTED,
    PRUNED,
    RUNNING,
    Journal,
    Story,
    stories,
)
from hydra_plugins.ray_tune_sweeper._plan import Planned
from hydra_plugins.ray_tune_sweeper._schedule import Schedule
from hydra_plugins.ray_tune_sweeper._trainable import HydraTrial, Payload
from hydra_plugins.ray_tune_sweeper._tuner import Left, _settle

PLAN = [Planned(number, {"x": number}) for number in range(4)]
STEP = {"step": 1, "metrics": {"acc": 0.5}, "seconds": 1.0}


def story(number, status, *, failures=0, steps=(STEP,)):
    return Story(number, status=status, params={"x": number}, steps=list(steps), failures=failures)


def left(earlier, *, plan=PLAN, total=4, replays=False, pauses=False, retries=0):
    schedule = Schedule(FIFOScheduler(), replays=replays, pauses=pauses)
    known = {each.number: each for each in earlier}
    return Left.of(plan, known, total=total, schedule=schedule, retries=retries)


def payload(journals, *, replays=True, pauses=False):
    kind = {"metrics": ("acc",), "worst": {}, "max_t": None}
    return Payload(None, journals, replays=replays, pauses=pauses, **kind)


def numbers(rest):
    return [each.number for each in rest.planned]


def test_only_what_has_not_ended_is_run_again():
    ended = [story(0, FINISHED), story(1, FAILED, failures=1), story(2, INTERRUPTED)]
    assert numbers(left(ended)) == [2, 3]


def test_scheduler_that_compares_hears_of_the_ended_ones_too():
    ended = [story(0, FINISHED), story(1, PRUNED), story(2, FAILED, failures=1)]
    assert numbers(left(ended, replays=True)) == [0, 1, 3]


def test_pruned_trial_may_only_be_waiting_where_trials_pause():
    assert numbers(left([story(0, PRUNED)], replays=True, pauses=True)) == [0, 1, 2, 3]


def test_failed_trial_has_its_retries_also_over_a_resume():
    assert numbers(left([story(0, FAILED, failures=1)], retries=1)) == [0, 1, 2, 3]
    assert numbers(left([story(0, FAILED, failures=2)], retries=1)) == [1, 2, 3]


def test_nothing_is_left_of_a_sweep_that_has_ended():
    assert left([story(number, FINISHED) for number in range(4)], replays=True).count == 0


def test_searcher_replaces_a_trial_whose_worker_died_before_its_first_line():
    nameless = Story(1, status=FAILED, failures=1)
    rest = left([story(0, FINISHED), nameless], plan=None, total=3)
    assert rest.count == 2


@pytest.mark.parametrize(
    ("reason", "pauses", "expected"),
    [
        (None, False, [FINISHED, PRUNED, PRUNED]),
        ("interrupted", False, [FINISHED, INTERRUPTED, PRUNED]),
        ("interrupted", True, [FINISHED, INTERRUPTED, INTERRUPTED]),
    ],
)
def test_trials_whose_workers_are_gone_are_settled(tmp_path, reason, pauses, expected):
    for number, status in enumerate([FINISHED, RUNNING, PRUNED]):
        Journal(tmp_path, number).append(params={"x": number}, status=status)
    _settle(payload(tmp_path, pauses=pauses), reason)
    assert [each.status for each in stories(tmp_path).values()] == expected


@pytest.mark.parametrize(
    ("replays", "told", "expected"),
    [
        (False, 0, INTERRUPTED),  # given to another worker that was free earlier
        (True, 0, INTERRUPTED),
        (True, 1, PRUNED),  # the scheduler has heard of its first step, and ends it
    ],
)
def test_trial_is_pruned_by_an_end_only_after_something_was_told(tmp_path, replays, told, expected):
    folder = tmp_path / "trials"
    folder.mkdir()
    checkpoint = tmp_path / "checkpoint"
    checkpoint.touch()
    notes = {"checkpoint": str(checkpoint)}
    Journal(folder, 3).append(params={"x": 3}, status=RUNNING, notes=notes, **STEP)
    Journal(folder, 3).append(status=INTERRUPTED)
    trial = HydraTrial.__new__(HydraTrial)
    trial._trial_info = SimpleNamespace(trial_name="00003")
    trial.payload = payload(folder, replays=replays)
    trial._begin({"trial": {"number": 3, "params": {"x": 3}}})
    for _ in range(told):
        assert trial.step()["done"] is False
    trial.cleanup()
    assert stories(folder)[3].status == expected
