"""A sweep whose processes are killed at random points ends as one that nobody disturbs."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.integration.sweeper_app.runner import INTERVAL, App, findings, samples, steps

pytest.importorskip("ray.tune")
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

ROUNDS, TRIALS, STEPS = 10, 8, 6
COMMAND = [INTERVAL, samples(TRIALS), steps(STEPS), "sleep=0.3", "hydra.sweeper.retries=20"]


def done(app: App) -> list[dict[str, int]]:
    """Every step that was done, over all jobs."""
    return [step for number in range(TRIALS) for step in app.done(number)]


def await_point(app: App, process: subprocess.Popen[str], generator: random.Random) -> None:
    """Wait for a random point: one of six lies in the start, the others between some steps."""
    if generator.random() < 1 / 6:
        time.sleep(generator.uniform(0, 8))
        return
    goal = len(done(app)) + generator.randint(1, 3)
    end = time.monotonic() + 120
    while process.poll() is None and len(done(app)) < goal:
        assert time.monotonic() < end, "the sweep does not go on"
        time.sleep(0.02)
    time.sleep(generator.uniform(0, 0.35))


def kill_a_worker(app: App, generator: random.Random) -> bool:
    """Kill a process that does steps, if there is one."""
    living = sorted({step["pid"] for step in done(app)} & set(app.running()))
    if not living:
        return False
    try:
        os.kill(generator.choice(living), signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("seed", [0])
def test_ten_kills_change_no_result(tmp_path: Path, seed: int) -> None:
    calm, app = App(tmp_path / "calm"), App(tmp_path / "killed")
    for each in (calm, app):
        each.folder.mkdir()
    undisturbed = calm(*COMMAND)
    assert undisturbed.returncode == 0, undisturbed.stdout

    generator = random.Random(seed)
    process = app.start(*COMMAND)
    kills = {"driver": 0, "worker": 0}
    try:
        while sum(kills.values()) < ROUNDS:
            await_point(app, process, generator)
            if process.poll() is not None:
                break  # finished before all rounds were spent
            if generator.random() < 0.4 and kill_a_worker(app, generator):
                kills["worker"] += 1
                continue
            process.kill()
            kills["driver"] += 1
            app.end(process)
            process = app.start(*COMMAND)
        last = app.end(process)
    finally:
        app.kill_all()
    assert last.returncode == 0, last.stdout
    assert min(kills.values()) >= 2 and sum(kills.values()) >= ROUNDS - 2, kills
    assert findings(app.trials()) == findings(calm.trials())
