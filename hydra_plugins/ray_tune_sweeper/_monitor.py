"""What the driver does while trials run: show, count failures, and stop in time."""

from __future__ import annotations

import logging
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from ray import tune
from ray.tune.experiment import Trial

from hydra_plugins.ray_tune_sweeper import _journal as journal
from hydra_plugins.ray_tune_sweeper._display import Display
from hydra_plugins.ray_tune_sweeper._manifest import FATAL, INTERRUPTED
from hydra_plugins.ray_tune_sweeper._results import Objective
from hydra_plugins.ray_tune_sweeper._trainable import FULL

log = logging.getLogger(__name__)

DEADLOCK_SECONDS = 120.0  # all trials paused, and none goes on
DEAD = "its worker process died (killed, or out of memory)"


class Brake(tune.Stopper):
    """Ends a sweep as a whole; the trials that still run go on when it is resumed.

    Attributes:
        reason: why; None while the sweep goes on.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.reason: str | None = None
        self.mark.unlink(missing_ok=True)
        (folder / FATAL).unlink(missing_ok=True)

    @property
    def mark(self) -> Path:
        """The file by which workers know that they are being interrupted."""
        return self.folder / INTERRUPTED

    def stop(self, reason: str) -> None:
        """End the sweep."""
        if self.reason is None:
            self.reason = reason
            self.mark.write_text(reason, encoding="utf-8")

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """No trial is stopped by itself here."""
        return False

    def stop_all(self) -> bool:
        """Tell Tune whether to end."""
        return self.reason is not None

    @contextmanager
    def on_signals(self, say: Callable[[str], None]) -> Iterator[None]:
        """Stop cleanly on the first Ctrl-C or SIGTERM, at once on the second."""

        def handle(number: int, frame: FrameType | None) -> None:
            if self.reason is not None:
                raise KeyboardInterrupt
            self.stop("terminated" if number == signal.SIGTERM else "interrupted")
            say("Stopping: what is running is closed first. Again to leave at once.")

        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {each: signal.signal(each, handle) for each in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)


class Monitor(tune.Callback):
    """Tune's callbacks: every event goes to the display, failures to the policy.

    Args:
        journals: the sweep's journals.
        brake: ends the sweep.
        display: shows it.
        objective: what is searched by.
        stops_at_failure: whether one failed trial ends the sweep.
        stall_s: seconds without any event after which the sweep is ended.
        time_budget_s: seconds after which it is ended.
    """

    def __init__(
        self,
        *,
        journals: Path,
        brake: Brake,
        display: Display,
        objective: Objective,
        stops_at_failure: bool,
        stall_s: float,
        time_budget_s: float | None,
    ) -> None:
        self.journals = journals
        self.brake = brake
        self.display = display
        self.objective = objective
        self.stops_at_failure = stops_at_failure
        self.stall_s = stall_s
        self.time_budget_s = time_budget_s
        self.begin = self.last = time.monotonic()

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Watch the clock."""
        now = time.monotonic()
        if self.time_budget_s is not None and now - self.begin > self.time_budget_s:
            self.brake.stop("timeout")
        if now - self.last > self._patience(trials):
            self.brake.stop("stalled")
        self.display.refresh()

    def _patience(self, trials: list[Trial]) -> float:
        """Return the seconds without an event that are still no standstill."""
        at_work = [trial for trial in trials if trial.status == Trial.RUNNING]
        if not at_work and not any(trial.status == Trial.PENDING for trial in trials):
            return DEADLOCK_SECONDS
        if any(trial.last_result is None or not trial.last_result for trial in at_work):
            return math.inf  # a task may report nothing until its end
        return self.stall_s

    def on_trial_start(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Show that a trial runs."""
        self._moved()
        self.display.started(_number(trial))

    def on_trial_result(
        self,
        iteration: int,
        trials: list[Trial],
        trial: Trial,
        result: Mapping[str, Any],
        **info: Any,
    ) -> None:
        """Show a result."""
        self._moved()
        value = result.get(self.objective.metrics[0])
        if value is not None:
            self.display.reported(_number(trial), result.get("training_iteration", 0), value)

    def on_trial_complete(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Show how a trial ended."""
        self._moved()
        self.display.ended(_number(trial), early=not (trial.last_result or {}).get(FULL))

    def on_trial_recover(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Say that a trial has failed and is tried again."""
        self._moved()
        story = journal.Journal(self.journals, _number(trial)).read()
        if (self.journals.parent / FATAL).exists():
            self.brake.stop("fatal")
            return
        self.display.say(
            f"trial {_number(trial)} failed and is tried again: {story.error or _cause(trial)}"
        )

    def on_trial_error(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Write down what a dead worker could not, show it, and follow the policy."""
        self._moved()
        number = _number(trial)
        story = journal.Journal(self.journals, number).read()
        if (self.journals.parent / FATAL).exists():
            self.brake.stop("fatal")
        if story.status in (journal.FINISHED, journal.PRUNED) or self.brake.reason:
            return  # over before its worker died, or written down when the sweep has ended
        if story.status != journal.FAILED:
            story.error = _cause(trial)
            journal.Journal(self.journals, number).append(status=journal.FAILED, error=story.error)
        self.display.failed(number, story.error or DEAD, story.folder)
        if self.stops_at_failure:
            self.brake.stop("failed")

    def _moved(self) -> None:
        self.last = time.monotonic()


def _cause(trial: Trial) -> str:
    """Say why Ray gave a trial up that could not say so itself."""
    text = str(trial.get_error() or "").strip()
    return DEAD if not text or "unexpectedly" in text else text.splitlines()[-1]


def _number(trial: Trial) -> int:
    return int(str(trial.custom_trial_name))
