"""The trial as its task sees it, and as the worker drives it."""

from __future__ import annotations

import contextlib
import os
import queue
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Note = str | int | float | bool | None


class TrialError(RuntimeError):
    """A trial cannot go on in this sweep."""


@dataclass(frozen=True)
class Report:
    """One intermediate result of a task."""

    step: int
    metrics: Mapping[str, float]
    checkpoint: Path | None


class Trial:
    """The trial that this process is running.

    Attributes:
        number: its job number, from 0; stable over retries and resumes.
        step: how many results it has reported, those of earlier attempts included. A worker may
            be killed between a checkpoint and its report, so the checkpoint can be a step ahead:
            a task then reports what it holds beyond ``step``, and never a step again.
        checkpoint: file to go on from; None for a start from nothing.
        changed: the checkpoint was written under other values (population based training): what
            the configuration says now holds, not what the checkpoint remembers.
        stopped: the step after which the search ended this trial early; None while it may go on.
        interrupted: the whole sweep is being stopped; the trial will go on when it is resumed.
    """

    def __init__(
        self,
        number: int,
        *,
        sweep: Path,
        step: int = 0,
        checkpoint: Path | None = None,
        changed: bool = False,
    ) -> None:
        self.number = number
        self.step = step
        self.checkpoint = checkpoint
        self.changed = changed
        self.stopped: int | None = None
        self.interrupted = False
        self.notes: dict[str, Note] = {}
        self._sweep = sweep
        self._done = False
        self._reports: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[bool] = queue.SimpleQueue()

    def report(self, metrics: Mapping[str, float], checkpoint: Path | None = None) -> bool:
        """Report the results of one more step, and return whether to go on.

        Blocks until the search has decided. After a False the task should end in its usual way.

        Args:
            metrics: name -> value, the one that is searched by among them.
            checkpoint: file from which the task could go on after this step.
        """
        if self._done:
            return False
        self.step += 1
        numbers = {name: float(value) for name, value in metrics.items()}
        self._reports.put(Report(self.step, numbers, checkpoint))
        if not self._answers.get():
            self._done = True
        return not self._done

    def note(self, **facts: Note) -> None:
        """Keep facts about the trial (a run's id, say) with its results."""
        self.notes.update(facts)

    def must_match(self, name: str, value: str) -> None:
        """Hold ``value`` against what the first trial of this sweep said under ``name``.

        Raises:
            TrialError: it differs: trials on different data, say, cannot be compared.
        """
        file = self._sweep / f"common-{name}"
        new = file.with_name(f"{file.name}.{self.number}")
        new.write_text(value, encoding="utf-8")
        with contextlib.suppress(FileExistsError):
            os.link(new, file)  # whole, and by one trial only
        new.unlink()
        first = file.read_text(encoding="utf-8")
        if first != value:
            raise TrialError(f"{name} has changed since this sweep began: {first} -> {value}")


_current: Trial | None = None


def current() -> Trial | None:
    """Return the trial that this process is running, or None outside of one."""
    return _current


def enter(trial: Trial) -> None:
    """Make ``trial`` the current one; for the worker alone."""
    global _current  # noqa: PLW0603  (a worker process runs one trial at a time)
    _current = trial


def leave(trial: Trial) -> None:
    """End ``trial``, if another one has not taken its place; for the worker alone."""
    global _current  # noqa: PLW0603
    if _current is trial:
        _current = None
