"""A sweep that is running: opened before its jobs, closed and shown after them."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from omegaconf import DictConfig

from digits.config.instantiate import instantiate
from digits.evaluation.trials import (
    LEADERBOARD_FILE,
    TRIALS_FILE,
    Results,
    write_leaderboard,
)
from digits.tasks.best import BEST_FILE
from digits.tasks.screens import sweep as sweep_summary
from digits.tasks.sweeps.jobs import Overrides
from digits.tasks.sweeps.results import outcomes, results_in, with_curves
from digits.tracking.run import Run
from digits.tracking.sweep import Outcome, open_parent, reconcile

LOGGED = (TRIALS_FILE, LEADERBOARD_FILE, BEST_FILE)


@dataclass(frozen=True)
class Sweep:
    """What is known of a sweep while it runs.

    Attributes:
        folder: the sweep's folder, absolute.
        planned: the overrides of each job of a plain list; empty for a search.
        parent: the tracked run above those of the jobs; None for a task that tracks nothing.
        began: the time of its beginning (monotonic seconds).
    """

    folder: Path
    planned: Sequence[Overrides]
    parent: Run | None
    began: float

    @classmethod
    def begin(cls, config: DictConfig, planned: Sequence[Overrides]) -> Self:
        """Open the tracked run, and with it the store, before any job starts.

        Raises:
            TrackingError: the store does not answer, or cannot be written.
        """
        folder = Path(config.hydra.sweep.dir).absolute()
        parent = None
        if config.get("tracking") is not None:
            overrides = list(config.hydra.overrides.task)
            parent = open_parent(instantiate(config.tracking), folder, overrides)
        return cls(folder, planned, parent, time.monotonic())

    def end(self, status: str) -> None:
        """Give every run its true status, then draw, log and show what came out.

        Args:
            status: FINISHED, FAILED or KILLED.
        """
        _stop_workers()
        results = None
        try:
            results = self._results(status)
        finally:
            self._close(status, results)
        if results.trials:
            pictures = self._draw(results)
            sweep_summary.show(results, self.folder, pictures)

    def _results(self, status: str) -> Results:
        seconds = time.monotonic() - self.began
        results = results_in(self.folder, self.planned, status=status, seconds=seconds)
        return with_curves(results, self.parent) if self.parent is not None else results

    def _close(self, status: str, results: Results | None) -> None:
        if self.parent is None:
            return
        known = outcomes(results) if results is not None else {}
        lost = Outcome("KILLED") if status == "KILLED" else Outcome("FAILED", "its process is gone")
        reconcile(self.parent, known, default=lost)
        failed = [trial for trial in results.trials if trial.status == "failed"] if results else []
        told = f"{len(failed)} jobs failed" if failed and status == "FAILED" else ""
        self.parent.end(status, told)

    def _draw(self, results: Results) -> list[Path]:
        """Write the leaderboard and the pictures, and log them to the sweep's run."""
        from digits.evaluation import sweep_figures

        if not (self.folder / LEADERBOARD_FILE).is_file():
            write_leaderboard(results, self.folder / LEADERBOARD_FILE)
        pictures = sweep_figures.draw(results, self.folder / "figures")
        if self.parent is not None:
            for name in LOGGED:
                if (self.folder / name).is_file():
                    self.parent.log_file(self.folder / name)
            if pictures:
                self.parent.log_folder(self.folder / "figures", "figures")
            best = next(iter(results.ranked()), None)
            if best is not None:
                values = zip(results.metrics, best.values or (), strict=True)
                self.parent.log_metrics({f"best/{name}": value for name, value in values})
        return pictures


def _stop_workers() -> None:
    """Stop what still runs in Ray: a failed sweep is over, and its jobs' runs are to be closed."""
    ray = sys.modules.get("ray")
    if ray is not None and ray.is_initialized():
        ray.shutdown()
