"""Turns of the loop as they are typed: killed, gone on with, followed by another."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from digits.promotion.champion import Pair, pair
from tests.e2e.conftest import Program

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

LOOP = [
    "task=loop",
    "loop.requests=200",
    "loop.window=100",
    "loop.labels=60",
    "loop.canary=100",
]


def shown(text: str) -> dict[str, str]:
    """Read the rows of the last screen."""
    rows = [line.split(None, 1) for line in text.splitlines() if line and not line[0].isspace()]
    return {row[0]: row[1].strip() for row in rows if len(row) == 2}


def children_of(number: int) -> list[int]:
    """Numbers of the processes that this one has started."""
    listed = Path(f"/proc/{number}/task/{number}/children").read_text()
    return [int(each) for each in listed.split()]


def is_alive(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def until(condition: Callable[[], object], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_step_of_a_killed_loop_ends_too(program: Program) -> None:
    process = program.start("task=loop", 'loop.more.train_first=["trainer.max_epochs=500"]')
    steps = program.folder / "outputs" / "loop" / "steps"
    until(lambda: list(steps.glob("*/train_first/run.json")))
    (step,) = children_of(process.pid)
    process.kill()
    process.communicate()
    until(lambda: not is_alive(step), 30)
    (run,) = [run for run in program.runs() if run.data.tags["digits.task"] == "train"]
    assert run.info.status == "KILLED"


def test_killed_loop_goes_on_and_recovers_without_a_failed_request(program: Program) -> None:
    process = program.start(*LOOP)
    assert process.stdout is not None
    for line in process.stdout:
        if " serve " in line:
            break
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()

    done = program(*LOOP, timeout=500)
    assert done.returncode == 0, done.stderr
    assert "Going on after serve" in done.stdout
    rows = shown(done.stdout)
    assert rows["outcome"] == "recovered"
    assert rows["requests"].endswith(" 0 failed")
    state = json.loads((program.folder / "outputs" / "loop" / "loop.json").read_text())
    facts = {step["name"]: step["facts"] for step in state["steps"]}
    assert not facts["before"]["drift"] and facts["detect"]["drift"]
    assert facts["detect"]["accuracy"] < facts["before"]["accuracy"] - 0.1
    assert facts["after"]["accuracy"] > facts["detect"]["accuracy"]
    assert facts["label"]["labels"] == 60
    assert pair(program.client(), "loop") == Pair(2, 1)
    assert Path(rows["picture"]).read_bytes().startswith(b"\x89PNG")
    (run,) = [run for run in program.runs() if run.data.tags["digits.task"] == "loop"]
    assert run.info.status == "FINISHED"
    assert run.data.metrics["loop/requests_failed"] == 0

    command = next(line for line in done.stdout.splitlines() if "task=lineage" in line)
    lineage = program.type(command.partition("#")[0].strip())
    assert lineage.returncode == 0, lineage.stderr
    for expected in ("prediction", "deployment", "model version loop 2", "data"):
        assert expected in lineage.stdout

    short = 'loop.more.retrain=["trainer.max_epochs=3"]'
    again = program(*LOOP, "loop.shift=motion_blur", short, timeout=500)
    assert again.returncode == 0, again.stderr
    assert "loop/2 is the champion" in again.stdout
    added = [run.data.tags.get("digits.features_added") for run in program.runs()]
    assert sorted(filter(None, added)) == ["120", "60"]  # what both turns have labelled
