"""Sweeps in which trials fail, processes are killed and users interrupt."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.integration.sweeper_app.runner import (
    INTERVAL,
    App,
    findings,
    samples,
    steps,
)

pytest.importorskip("ray.tune")
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


@pytest.fixture
def app(tmp_path: Path):
    """The application, with everything it writes below ``tmp_path``; nothing of it stays."""
    app = App(tmp_path)
    yield app
    app.kill_all()


def assert_each_step_done_once(app, numbers, last=6):
    for number in numbers:
        assert [each["step"] for each in app.done(number)] == list(range(1, last + 1)), number


def assert_one_message(done, cause):
    """The command failed for one reason, and a person can read it."""
    assert done.returncode != 0, done.stdout
    assert cause in done.stdout
    assert "Traceback" not in done.stdout and "site-packages" not in done.stdout, done.stdout


def test_failed_trial_is_shown_and_the_others_go_on(app):
    command = [INTERVAL, samples(3), steps(6), "fail_before.steps={1:2}"]
    done = app(*command)
    assert done.returncode == 1
    assert "made to fail at step 2" in done.stdout and "sweep/1" in done.stdout
    assert "Traceback" not in done.stdout
    assert [each["status"] for each in app.trials()] == ["finished", "failed", "finished"]
    assert app.trials()[1]["error"] == "made to fail at step 2"
    again = app(*command, "hydra.sweeper.tolerate=1")
    assert again.returncode == 0, again.stdout


def test_first_failure_stops_the_sweep_where_that_is_asked_for(app):
    stop = "hydra.sweeper.on_failure=stop"
    done = app(INTERVAL, samples(5), steps(6), "sleep=0.5", "fail_before.steps={0:1}", stop)
    assert done.returncode == 1
    statuses = [each["status"] for each in app.trials()]
    assert statuses[0] == "failed" and "finished" not in statuses and "pending" in statuses
    assert app.summary()["status"] == "failed"


def test_retried_trials_lose_nothing(app):
    retry = "hydra.sweeper.retries=1"
    once = "fail_before={steps:{0:3},times:1,kills:false}"
    process = app.start(INTERVAL, samples(3), steps(6), "sleep=0.4", retry, once)
    os.kill(app.await_step(1, 2), signal.SIGKILL)
    done = app.end(process)
    assert done.returncode == 0, done.stdout
    trials = app.trials()
    assert [each["status"] for each in trials] == ["finished"] * 3
    assert all([s["step"] for s in each["steps"]] == [1, 2, 3, 4, 5, 6] for each in trials)
    # The step that failed was done again, those before its checkpoint were not.
    assert [each["step"] for each in app.done(0)] == [1, 2, 3, 3, 4, 5, 6]
    assert len(app.done(1)) <= 7 and len({each["pid"] for each in app.done(1)}) == 2


def test_worker_that_dies_for_good_fails_its_trial_alone(app):
    process = app.start(INTERVAL, samples(3), steps(6), "sleep=0.4")
    os.kill(app.await_step(1, 2), signal.SIGKILL)
    done = app.end(process)
    assert done.returncode == 1
    assert [each["status"] for each in app.trials()] == ["finished", "failed", "finished"]
    assert "worker process died" in app.trials()[1]["error"]


@pytest.mark.parametrize("limit", [6, None])
@pytest.mark.parametrize("returns", [True, False])
def test_worker_that_dies_after_its_last_report_keeps_its_results(app, limit, returns):
    dies = "die_after_report.steps={0:6}" if limit is None else "closing=6"
    command = [INTERVAL, samples(1), "hydra.sweeper.retries=1", dies]
    process = app.start(*command, f"hydra.sweeper.max_t={limit or 'null'}", f"returns={returns}")
    if limit:  # while the task closes what it has open
        pid = app.await_step(0, 6)
        time.sleep(1)
        os.kill(pid, signal.SIGKILL)
    done = app.end(process)
    assert done.returncode == 0, done.stdout
    (trial,) = app.trials()
    assert [each["step"] for each in trial["steps"]] == [1, 2, 3, 4, 5, 6]
    assert trial["value"] == [trial["steps"][-1]["metrics"]["acc"]]


@pytest.mark.parametrize(
    "dies",
    [
        ["die_before_report.steps={0:3}"],  # its checkpoint is ahead of what was reported
        ["fail_before={steps:{0:4},times:1}", "every=2"],  # and here behind
    ],
)
def test_steps_are_those_of_the_task_wherever_it_dies(app, dies):
    done = app(INTERVAL, samples(1), steps(6), "hydra.sweeper.retries=1", *dies)
    assert done.returncode == 0, done.stdout
    (trial,) = app.trials()
    x = float(trial["overrides"]["x"])
    for each in trial["steps"]:
        assert each["metrics"]["acc"] == pytest.approx((1 - (x - 0.3) ** 2) * each["step"] / 6)
    assert trial["steps"][-1]["step"] == 6


def test_interrupted_sweep_goes_on_and_grows_but_does_not_change(app):
    process = app.start(INTERVAL, samples(4), steps(6), "sleep=0.4")
    app.await_step(0, 2)
    os.killpg(process.pid, signal.SIGINT)
    done = app.end(process)
    assert done.returncode == 130, done.stdout
    assert "Traceback" not in done.stdout
    assert app.summary()["status"] == "interrupted"
    assert {"interrupted", "pending"} <= {each["status"] for each in app.trials()}
    (command,) = [line for line in done.stdout.splitlines() if "Go on with: " in line]
    resumed = app.type(command.split("Go on with: ")[1])
    assert resumed.returncode == 0, resumed.stdout
    assert [each["status"] for each in app.trials()] == ["finished"] * 4
    assert_each_step_done_once(app, range(4))

    refused = app(INTERVAL, samples(5), steps(6), "sleep=0.2")
    assert_one_message(refused, "sleep: 0.4 -> 0.2")
    before = findings(app.trials())
    grown = app(INTERVAL, samples(5), steps(6), "sleep=0.4")
    assert grown.returncode == 0, grown.stdout
    assert findings(app.trials())[:4] == before
    assert_each_step_done_once(app, range(5))


def test_sweep_of_a_killed_driver_ends_as_an_undisturbed_one(app):
    command = [INTERVAL, samples(4), steps(6), "sleep=0.3"]
    assert app(*command, sweep="calm").returncode == 0
    process = app.start(*command)
    app.await_step(1, 3)
    process.kill()
    assert app.end(process).returncode == -signal.SIGKILL
    done = app(*command)
    assert done.returncode == 0, done.stdout
    assert findings(app.trials()) == findings(app.trials("calm"))


def test_interrupt_while_ray_starts_leaves_nothing_behind(app):
    process = app.start(INTERVAL, samples(4), "sleep=5")
    app.await_((app.folder / "sweep" / ".tune" / "sweep.json").exists)
    os.killpg(process.pid, signal.SIGINT)
    done = app.end(process)
    assert done.returncode in (130, -signal.SIGINT), done.stdout
    assert "Traceback" not in done.stdout


def test_second_interrupt_leaves_at_once(app):
    process = app.start(INTERVAL, samples(4), "sleep=0.3", "closing=45")
    app.await_step(0, 1)
    os.killpg(process.pid, signal.SIGINT)
    time.sleep(2)
    os.killpg(process.pid, signal.SIGINT)
    done = app.end(process)
    assert done.returncode in (130, -signal.SIGINT), done.stdout
    assert "Traceback" not in done.stdout
    assert not (app.folder / "sweep" / "0" / "closed").exists()


def test_sweep_that_still_runs_is_not_resumed_beside_itself(app):
    command = [INTERVAL, samples(2), "epochs=60", "sleep=1"]
    first = app.start(*command)
    app.await_step(0, 1)
    second = app.start(*command)
    output, _ = second.communicate(timeout=80)
    first.send_signal(signal.SIGINT)
    app.end(first)
    assert second.returncode != 0 and "running" in output
    assert "failed" not in {each["status"] for each in app.trials()}
