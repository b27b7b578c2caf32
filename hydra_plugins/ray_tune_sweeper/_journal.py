"""What became of each trial, a line for each event: the truth that results and resumes go by.

A line is on the disk before the search hears of the event. The worker writes; for a worker that
died, the driver.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# How a trial stands. A pruned one was stopped by the scheduler.
RUNNING, FINISHED, PRUNED = "running", "finished", "pruned"
FAILED, INTERRUPTED, PENDING = "failed", "interrupted", "pending"
FINAL = {FINISHED, PRUNED, FAILED}
LEAVING_SECONDS = 90.0  # how long the worker of a killed driver may live on


@dataclass
class Story:
    """What a journal tells.

    Attributes:
        number: the job number.
        status: how the trial stands.
        params: swept key -> value, as last set.
        folder: the job's folder, once it has one.
        steps: the results in order: step, metrics, seconds since the trial began.
        notes: what the task wanted kept.
        error: why it failed.
        failures: how often it has failed.
        seconds: time that its attempts took, up to the last event.
    """

    number: int
    status: str = PENDING
    params: dict[str, Any] = field(default_factory=dict)
    folder: str | None = None
    steps: list[dict[str, Any]] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)
    error: str | None = None
    failures: int = 0
    seconds: float = 0.0

    def tell(self, event: Mapping[str, Any]) -> None:
        """Take one event in."""
        if "step" in event:
            # Population based training goes on from another trial's step, maybe an earlier one.
            self.steps = [each for each in self.steps if each["step"] < event["step"]]
            self.steps.append({key: event[key] for key in ("step", "metrics", "seconds")})
        if "params" in event:
            self.params = dict(event["params"])
            self.error = None
        self.failures += event.get("status") == FAILED
        self.notes.update(event.get("notes", {}))
        for name in ("status", "folder", "error", "seconds"):
            if name in event:
                setattr(self, name, event[name])


class Journal:
    """The journal of one trial.

    Args:
        folder: the sweep's folder of journals.
        number: the job number.
    """

    def __init__(self, folder: Path, number: int) -> None:
        self.file = folder / f"{number:05d}.jsonl"
        self.number = number

    def append(self, **event: Any) -> None:
        """Write an event; it is on the disk when this returns."""
        line = json.dumps(event, separators=(",", ":")) + "\n"
        descriptor = os.open(self.file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            size = os.fstat(descriptor).st_size
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                line = "\n" + line  # a line that a killed worker left half-written
            os.write(descriptor, line.encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def read(self) -> Story:
        """Tell the story so far; a half-written line is left out."""
        story = Story(self.number)
        try:
            lines = self.file.read_text(encoding="utf-8").split("\n")
        except FileNotFoundError:
            return story
        for line in lines:
            try:
                event = json.loads(line)
            except json.JSONDecodeError:
                continue
            story.tell(event)
        return story

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Keep the trial for this process; wait for a worker that outlives its killed driver.

        Raises:
            TimeoutError: that worker does not leave.
        """
        with self.file.with_suffix(".lock").open("w") as lock:
            begin = time.monotonic()
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except OSError:
                    if time.monotonic() - begin > LEAVING_SECONDS:
                        raise TimeoutError(
                            f"trial {self.number} is still running in another process"
                        ) from None
                    time.sleep(0.2)
            yield


def stories(folder: Path) -> dict[int, Story]:
    """Read every journal of a sweep: number -> story."""
    numbers = sorted(int(file.stem) for file in folder.glob("*.jsonl"))
    return {number: Journal(folder, number).read() for number in numbers}
