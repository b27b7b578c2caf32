"""Two runs side by side: what went into them, and the numbers that came out."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

from mlflow.entities import Run as RecordedRun
from mlflow.utils.mlflow_tags import MLFLOW_GIT_COMMIT

from digits.tracking.environment import (
    DEVICE_TAG,
    LIBRARIES_TAG,
    PROCESSOR_TAG,
    PYTHON_TAG,
    THREADS_TAG,
)

COMMIT = "git commit"
THREADS = "threads"
DEVICE = "device"
DIRTY = "-dirty"
NOT_RECORDED = "not recorded"

INPUTS = {
    COMMIT: MLFLOW_GIT_COMMIT,
    "seed": "digits.seed",
    "data": "digits.data_digest",
    THREADS: THREADS_TAG,
    DEVICE: DEVICE_TAG,
    "processor": PROCESSOR_TAG,
    "python": PYTHON_TAG,
}
# Times, and what the machine was doing, are no results.
TIMED = ("system/", "fit/")
TIMINGS = frozenset({"train/images_per_second"})


@dataclass(frozen=True)
class Difference:
    """Something that two runs do not share; each as text, None where it is not on record."""

    name: str
    then: str | None
    now: str | None

    def __str__(self) -> str:
        then, now = (NOT_RECORDED if each is None else each for each in (self.then, self.now))
        return f"{self.name}: {then} then, {now} now"


def inputs(run: RecordedRun) -> dict[str, str]:
    """Return name -> value of what the run is recorded to have started from.

    The configuration apart, of which a digest says only that something in it differs.
    """
    tags = run.data.tags
    known = {name: tags[tag] for name, tag in INPUTS.items() if tag in tags}
    return known | json.loads(tags.get(LIBRARIES_TAG, "{}"))


def input_differences(then: RecordedRun, now: RecordedRun) -> list[Difference]:
    """Say what differs of the inputs of two runs.

    What one of them does not have on record counts as different; so do local changes to the code,
    which no commit holds, and a run that was stopped and went on.
    """
    before, after = inputs(then), inputs(now)
    found = _differences(before, after)
    commit = before.get(COMMIT)
    if commit == after.get(COMMIT) and str(commit).endswith(DIRTY):
        found.insert(0, Difference(COMMIT, commit, f"{commit} (perhaps with other local changes)"))
    for run, other in ((then, now), (now, then)):
        resumed = run.data.tags.get("digits.resumed")
        if resumed and "digits.resumed" not in other.data.tags:
            words = f"yes ({resumed})", "no"
            found.append(Difference("resumed", *(words if run is then else reversed(words))))
    return found


def results(run: RecordedRun) -> dict[str, float]:
    """Return the final metrics of a run without those that measure time."""
    return {
        name: value
        for name, value in run.data.metrics.items()
        if not name.startswith(TIMED) and name not in TIMINGS
    }


def result_differences(then: RecordedRun, now: RecordedRun) -> list[Difference]:
    """Say which final metrics of ``then`` are not the same to the last bit in ``now``."""
    before, after = results(then), results(now)
    return [
        Difference(name, repr(value), repr(after[name]) if name in after else "absent")
        for name, value in sorted(before.items())
        if name not in after or not _same(value, after[name])
    ]


def _same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))


def _differences(before: Mapping[str, str], after: Mapping[str, str]) -> list[Difference]:
    names = dict.fromkeys([*before, *after])
    return [
        Difference(name, before.get(name), after.get(name))
        for name in names
        if before.get(name) != after.get(name)
    ]
