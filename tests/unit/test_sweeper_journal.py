"""The journals of a sweep's trials: what was written is read, whoever is killed meanwhile."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydra_plugins.ray_tune_sweeper import _journal as journal
from hydra_plugins.ray_tune_sweeper._journal import Journal, Story

PROCESSES = multiprocessing.get_context("fork")


def step(number: int, accuracy: float = 0.5) -> dict[str, object]:
    return {"step": number, "metrics": {"acc": accuracy}, "seconds": float(number)}


def test_trial_without_a_journal_is_pending(tmp_path):
    assert Journal(tmp_path, 3).read() == Story(3, status=journal.PENDING)
    assert journal.stories(tmp_path) == {}


def test_events_make_a_story(tmp_path):
    trial = Journal(tmp_path, 3)
    trial.append(params={"x": 0.5, "model": "a"}, status=journal.RUNNING, seconds=0.0)
    trial.append(**step(1), folder="/sweep/3", notes={"run_id": "r"})
    trial.append(**step(2, 0.7), notes={"checkpoint": "c"})
    trial.append(status=journal.FINISHED, seconds=2.5)
    assert trial.read() == Story(
        3,
        status=journal.FINISHED,
        params={"x": 0.5, "model": "a"},
        folder="/sweep/3",
        steps=[step(1), step(2, 0.7)],
        notes={"run_id": "r", "checkpoint": "c"},
        seconds=2.5,
    )


def test_failures_are_counted_and_an_old_error_is_forgotten(tmp_path):
    trial = Journal(tmp_path, 0)
    trial.append(params={"x": 1}, status=journal.RUNNING)
    trial.append(status=journal.FAILED, error="no luck")
    assert trial.read().error == "no luck"
    trial.append(params={"x": 1}, status=journal.RUNNING)
    story = trial.read()
    assert (story.failures, story.error, story.status) == (1, None, journal.RUNNING)


def test_attempt_that_begins_anew_replaces_the_steps_of_the_one_before(tmp_path):
    trial = Journal(tmp_path, 0)
    for each in (step(1, 0.1), step(2, 0.2), step(3, 0.3), step(1, 0.9)):
        trial.append(**each)
    assert trial.read().steps == [step(1, 0.9)]


def test_taking_another_trial_over_goes_on_at_its_step_under_new_values(tmp_path):
    trial = Journal(tmp_path, 0)
    trial.append(params={"lr": 0.1}, status=journal.RUNNING)
    for each in (step(1), step(2), step(3), step(4)):
        trial.append(**each)
    trial.append(params={"lr": 0.12}, status=journal.RUNNING)
    trial.append(**step(3, 0.8))
    story = trial.read()
    assert story.params == {"lr": 0.12}
    assert story.steps == [step(1), step(2), step(3, 0.8)]


@given(cut=st.integers(1, 200))
def test_torn_last_line_is_left_out_and_the_next_event_is_not(tmp_path_factory, cut):
    folder = tmp_path_factory.mktemp("journals")
    trial = Journal(folder, 0)
    trial.append(params={"x": "ä"}, status=journal.RUNNING)
    whole = trial.file.stat().st_size
    trial.append(**step(1), notes={"checkpoint": "ü" * 20})
    torn = min(cut, trial.file.stat().st_size - whole - 1)
    with trial.file.open("r+b") as file:
        file.truncate(whole + torn)
    before = trial.read()
    assert before.status == journal.RUNNING
    assert before.steps in ([], [step(1)])  # without its newline a line may still be whole
    trial.append(**step(2, 0.9))
    assert trial.read().steps == [*before.steps, step(2, 0.9)]


def _write_for_ever(folder) -> None:
    trial = Journal(folder, 0)
    number = 0
    while True:
        number += 1
        trial.append(**step(number), notes={"padding": "p" * 5000})


@pytest.mark.parametrize("delay", [0.05, 0.1, 0.2])
def test_kill_in_the_middle_of_writing_loses_no_earlier_line(tmp_path, delay):
    writer = PROCESSES.Process(target=_write_for_ever, args=(tmp_path,))
    writer.start()
    trial = Journal(tmp_path, 0)
    while not trial.read().steps:
        time.sleep(0.01)
    time.sleep(delay)
    os.kill(writer.pid, signal.SIGKILL)
    writer.join()
    seen = [each["step"] for each in trial.read().steps]
    assert seen == list(range(1, len(seen) + 1))
    trial.append(status=journal.FAILED, error="killed")
    assert trial.read().status == journal.FAILED


def _claim(folder, pipe) -> None:
    with Journal(folder, 0).claimed():
        pipe.send("claimed")
        pipe.recv()


def claiming(folder):
    """A process that claims a trial, and the pipe on which it says so."""
    here, there = PROCESSES.Pipe()
    process = PROCESSES.Process(target=_claim, args=(folder, there), daemon=True)
    process.start()
    return process, here


def test_claim_waits_for_the_process_that_holds_it(tmp_path):
    holder, claimed = claiming(tmp_path)
    assert claimed.poll(60)
    waiter, second = claiming(tmp_path)
    assert not second.poll(0.5)
    os.kill(holder.pid, signal.SIGKILL)
    assert second.poll(60)
    second.send("leave")
    waiter.join(60)
    assert waiter.exitcode == 0


def test_claim_that_nobody_gives_up_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "LEAVING_SECONDS", 0.3)
    holder, claimed = claiming(tmp_path)
    assert claimed.poll(60)
    with (
        pytest.raises(TimeoutError, match="trial 0 is still running in another process"),
        Journal(tmp_path, 0).claimed(),
    ):
        pass
    claimed.send("leave")
    holder.join(60)


def test_trials_are_claimed_one_by_one(tmp_path):
    with Journal(tmp_path, 0).claimed(), Journal(tmp_path, 1).claimed():
        pass
    with Journal(tmp_path, 0).claimed():
        pass


def test_stories_of_a_sweep_come_by_number(tmp_path):
    for number in (11, 2):
        Journal(tmp_path, number).append(status=journal.FINISHED)
    (tmp_path / "00002.lock").touch()
    (tmp_path / "00002.checkpoint").write_text("weights")
    assert list(journal.stories(tmp_path)) == [2, 11]


def test_journal_is_readable_by_line(tmp_path):
    trial = Journal(tmp_path, 0)
    trial.append(**step(1))
    trial.append(status=journal.FINISHED)
    assert not trial.file.stat().st_mode & 0o133  # nobody else writes it, nobody runs it
    lines = trial.file.read_text().splitlines()
    assert [json.loads(line) for line in lines] == [step(1), {"status": journal.FINISHED}]
