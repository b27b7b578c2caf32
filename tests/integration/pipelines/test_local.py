"""Pipelines by Kubeflow's local runner: its traps, its cache, its ends."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from digits.errors import PipelineError, RejectedError
from pipelines.local import LOG_FILE, STEPS_FOLDER, Subprocess
from pipelines.order import PASSED, REJECTED, Event, Order, Outcome
from tests.integration.pipelines.conftest import World

WHOLE = ["data", "train", "evaluate", "judge", "promote", "deploy", "lineage"]


@pytest.fixture
def run(tmp_path: Path, order: Order, events: list[Event]):
    """Run an order with a cache, in a new folder each time."""
    runs = iter(range(100))

    def run(changed: Order | None = None, *, cache: bool = True) -> Outcome:
        runner = Subprocess(root=order.root, cache=str(tmp_path / "cache") if cache else None)
        events.clear()
        return runner.run(changed or order, tmp_path / f"run{next(runs)}", events.append)

    return run


def text_of(tmp_path: Path, step: str, artifact: str, number: int = 0) -> str:
    (file,) = (tmp_path / f"run{number}" / STEPS_FOLDER).glob(f"*/{step}/{artifact}")
    return file.read_text()


def test_what_the_gate_lets_pass_is_promoted_and_deployed(world: World, run, order) -> None:
    outcome = run(replace(order, overrides={"train": ["model=lenet"]}))
    assert world.tasks == WHOLE
    assert (outcome.decision, outcome.version) == (PASSED, "7")
    train, evaluate, deploy = world.asked[1], world.asked[2], world.asked[5]
    assert {"data.version='d1'", "model=lenet", "once='c0de'"} <= set(train)
    assert {"version=7", "data.version='d1'", "data=uci"} <= set(evaluate)
    assert {"version=champion", "promoted=7", "deployment=local"} <= set(deploy)
    assert "data=uci" not in deploy


def test_what_the_gate_rejects_is_not_deployed_and_the_reasons_are_told(
    world: World, run, tmp_path: Path
) -> None:
    world.say(judge=12)
    outcome = run()
    assert world.tasks == ["data", "train", "evaluate", "judge", "lineage"]
    assert (outcome.decision, outcome.version) == (REJECTED, "7")
    assert [each.step for each in outcome.events][-2:] == ["reject", "report"]
    assert "- it is no better" in text_of(tmp_path, "reject", "reasons")


def test_a_champion_that_the_second_judgement_rejects_is_a_rejection(world: World, run) -> None:
    world.say(promote=12)
    with pytest.raises(RejectedError, match=r"The step promote failed \(exit code 12\)"):
        run()
    assert world.tasks == ["data", "train", "evaluate", "judge", "promote", "lineage"]


@pytest.mark.parametrize(("code", "tasks"), [(0, 2), (11, 2), (10, 8)])
def test_a_drift_verdict_triggers_the_rest_and_nothing_else_does(
    world: World, run, order: Order, code: int, tasks: int
) -> None:
    world.say(drift=code)
    outcome = run(replace(order, when="drift"))
    assert dict(outcome.rows)["drift"] == {0: "none", 10: "drift", 11: "unknown"}[code]
    assert world.tasks == ["drift", *WHOLE][-tasks:] if tasks == 8 else ["drift", "lineage"]
    assert "drift.fail=true" in world.asked[0]


def test_a_step_that_fails_is_named_with_its_code_and_what_it_said_and_reported(
    world: World, run, tmp_path: Path, events: list[Event]
) -> None:
    world.say(train=2)
    with pytest.raises(PipelineError) as caught:
        run()
    assert "The step train failed (exit code 2)" in str(caught.value)
    assert "train says code 2" in str(caught.value)
    assert world.tasks == ["data", "train", "lineage"]
    assert "The pipeline ended: FAILED" in text_of(tmp_path, "report", "report")
    assert [(each.step, each.state) for each in events if each.state != "began"] == [
        ("data", "done"),
        ("train", "failed"),
        ("report", "done"),
    ]


def test_the_report_is_made_even_where_there_is_no_model(world: World, run, tmp_path: Path) -> None:
    world.say(data=1, lineage=1)
    with pytest.raises(PipelineError, match="The step data failed"):
        run()
    assert "No model is on record" in text_of(tmp_path, "report", "report")


def test_what_was_done_is_not_done_again_but_what_is_asked_of_the_present_is(
    world: World, run, order: Order, events: list[Event]
) -> None:
    run()
    world.forget()
    assert run().version == "7"
    assert world.tasks == ["data", "judge", "promote", "deploy", "lineage"]
    assert [each.step for each in events if each.state == "cached"] == ["train", "evaluate"]


@pytest.mark.parametrize("what", ["digest", "code", "overrides"])
def test_other_data_code_or_overrides_are_other_work(
    world: World, run, order: Order, what: str
) -> None:
    run()
    world.forget()
    if what == "digest":
        world.say(digest="d2")  # type: ignore[arg-type]
        run()
    elif what == "code":
        run(replace(order, code="0ther"))
    else:
        run(replace(order, overrides={"train": ["optimizer.lr=0.1"]}))
    assert "train" in world.tasks


def test_without_a_cache_everything_is_done(world: World, run) -> None:
    run(cache=False)
    run(cache=False)
    assert world.tasks == WHOLE * 2


def test_a_killed_step_is_repeated_and_what_came_before_it_is_not(
    world: World, run, tmp_path: Path
) -> None:
    world.say(evaluate=-signal.SIGKILL)
    with pytest.raises(PipelineError, match=r"The step evaluate failed \(exit code -9\)"):
        run()
    world.say()
    world.forget()
    assert run().decision == PASSED
    assert world.tasks == [each for each in WHOLE if each != "train"]


def test_features_are_learned_as_of_a_time_and_a_search_begins_there_too(
    world: World, run, order: Order
) -> None:
    run(replace(order, feature_store="local", search="asha", target="none"))
    assert world.tasks[:5] == ["data", "features", "features", "train", "train"]
    search, train = world.asked[3], world.asked[4]
    learned = {"features=local", "features.as_of='2026-01-31T12:00:00+00:00'"}
    assert {*learned, "tuner=asha", "-m"} <= set(search)
    assert {*learned, "experiment=best"} <= set(train)
    assert "deploy" not in world.tasks


def test_a_step_costs_little_beyond_its_own_work(world: World, run, events: list[Event]) -> None:
    began = time.monotonic()
    outcome = run()
    assert time.monotonic() - began < 2.0 * len(outcome.events)


def test_the_process_is_left_as_it_was(world: World, run, tmp_path: Path) -> None:
    handlers = logging.getLogger().handlers[:]
    standard_input = os.fstat(0)
    run()
    assert logging.getLogger().handlers == handlers
    assert os.path.samestat(os.fstat(0), standard_input)
    assert "DIGITS_SUPERVISED" not in os.environ
    assert "Executing task 'data'" in (tmp_path / "run0" / LOG_FILE).read_text()


SLOW = """
import sys, time
from digits.contract import leash
leash.heed_variable()
open(sys.argv[0] + ".begun", "w").close()
time.sleep(60)
"""
RUNNER = """
import sys
from pathlib import Path
from digits.tasks.signals import heed_sigterm
from pipelines.local import Subprocess
from pipelines.order import Order
heed_sigterm()
order = Order(name="digits", root=sys.argv[1], shared=[], data=[])
Subprocess(root=sys.argv[1], cache=None).run(order, Path(sys.argv[1]), lambda event: None)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_step_ends_with_the_pipeline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    slow = tmp_path / "slow.py"
    slow.write_text(SLOW)
    monkeypatch.setenv("DIGITS_PROGRAM", str(slow))
    process = subprocess.Popen([sys.executable, "-c", RUNNER, str(tmp_path / "out")])
    try:
        until(Path(f"{slow}.begun").exists)
        process.send_signal(number)
        process.wait(30)
        until(lambda: not running(str(slow)))
    finally:
        process.kill()


def running(name: str) -> bool:
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = place.read_bytes().split(b"\0")
        except OSError:
            continue
        if len(line) > 1 and line[1].decode(errors="replace") == name:
            return True
    return False


def until(condition, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)
