"""What a turn of the loop prints: a line for each step, and in the end what it came to."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from digits.contract.files import write_atomically
from digits.tasks import commands
from digits.tasks.screens import screen
from digits.tasks.turn.figure import facts_of, timeline
from digits.tasks.turn.state import STATE, Step
from digits.tasks.turn.turn import Turn
from digits.tracking.record import Record
from digits.tracking.run import Run

PICTURE = "timeline.png"


def _right(facts: Mapping[str, Any]) -> str:
    failed = facts["failed"]
    return f"{facts['accuracy']:.1%} of {facts['requests']} digits read right, {failed} failed"


def _damage(facts: Mapping[str, Any]) -> str:
    seen = "drift" if facts["drift"] else "no drift"
    low, high = facts["interval"]
    return f"{seen}; accuracy estimated at {facts['estimate']:.1%} ({low:.1%} to {high:.1%})"


TOLD: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "champion": lambda facts: f"{facts['version']} is the champion",
    "serve": lambda facts: f"{facts['version']} answers at {facts['address']}",
    "before": lambda facts: f"{_right(facts)}; {_damage(facts)}",
    "detect": lambda facts: f"{facts['shift']} sets in: {_right(facts)}; {_damage(facts)}",
    "select": lambda facts: f"{facts['queued']} samples wait for a label",
    "label": lambda facts: f"{facts['labels']} labels, by the {facts['by']}",
    "push": lambda facts: "labels and features are in the feature store",
    "retrain": lambda facts: f"{facts['version']}: {facts['test_accuracy']:.2%} on held-out digits",
    "judge": lambda facts: f"the gate {'lets it pass' if facts['passed'] else 'turns it away'}",
    "canary": lambda facts: (
        "; ".join(f"{version} {right:.1%}" for version, right in facts["accuracies"].items())
        + f", {facts['failed']} failed"
    ),
    "promote": lambda facts: f"{facts['version']} answers everybody",
    "after": lambda facts: f"{facts['outcome']}: {_right(facts)}",
}


def line(step: Step) -> str:
    """Return a step as one line of the timeline."""
    when = datetime.fromtimestamp(step.started, UTC)
    took = step.ended - step.started
    return f"{when:%H:%M:%S}  {step.name:<9} {took:5.1f} s  {TOLD[step.name](step.facts)}"


def report(turn: Turn, record: Record, run: Run) -> float:
    """Draw the turn, keep it with its run, and print what it came to.

    Returns:
        Accuracy in the end.
    """
    state, numbers = turn.state, facts_of(turn.state)
    visits = turn.visits()
    picture = timeline(state, visits, turn.digits.labels, record.folder / PICTURE)
    write_atomically(record.metrics_file, json.dumps(numbers, indent=2) + "\n")
    run.log_metrics(numbers)
    run.log_file(picture, "loop")
    run.log_file(state.folder / STATE, "loop")
    run.set_tags({"loop.outcome": state.facts("after")["outcome"]})
    state.finished = True
    state.write()
    same = commands.same(record, turn.source)
    rows = [
        ("outcome", str(state.facts("after")["outcome"])),
        ("before", f"{numbers['loop/accuracy_before']:.1%}"),
        ("under", f"{numbers['loop/accuracy_under_shift']:.1%} under {turn.plan.shift}"),
        ("now", f"{numbers['loop/accuracy_recovered']:.1%}"),
        ("labels", f"{numbers['loop/labels']:.0f}"),
        (
            "requests",
            f"{numbers['loop/requests']:.0f}, {numbers['loop/requests_failed']:.0f} failed",
        ),
        ("picture", str(picture)),
        ("steps", str(state.steps_folder)),
        ("run", run.id),
    ]
    traffic = f"traffic.url={turn.traffic_url}"
    lineage = commands.run("task=lineage", f"of={visits[-1].id}", traffic, *same)
    screen.show(rows, [(lineage, "where the last answer comes from")])
    return numbers["loop/accuracy_recovered"]
