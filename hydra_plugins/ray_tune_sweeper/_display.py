"""A sweep on the screen: a live table on a terminal, a line for each event elsewhere."""

from __future__ import annotations

import time

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

REFRESH_SECONDS = 0.5


class Display:
    """Counts trials and shows them.

    Args:
        total: trials in all.
        done: trials that had ended before.
        metric: name of what is shown of each.
        larger_is_better: for naming the best so far.
        best: (trial, value) that an earlier part of the sweep has found.
    """

    def __init__(
        self,
        *,
        total: int,
        done: int,
        metric: str,
        larger_is_better: bool,
        best: tuple[int, float] | None = None,
        console: Console | None = None,
    ) -> None:
        self.total = total
        self.done = self.earlier = done
        self.metric = metric
        self.sign = 1 if larger_is_better else -1
        self.console = console or Console(stderr=True)
        self.running: dict[int, tuple[int, float | None]] = {}
        self.best = best
        self.stopped = self.failures = 0
        self.begin = time.monotonic()
        self._drawn = 0.0
        self._live: Live | None = None

    def __getstate__(self) -> dict[str, object]:
        return {}  # Tune pickles its callbacks; a screen stays where it is

    def __enter__(self) -> Display:
        if self.console.is_terminal:
            self._live = Live(console=self.console, transient=True, auto_refresh=False)
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def say(self, line: str) -> None:
        """Print one line."""
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)

    def started(self, number: int) -> None:
        """Note that a trial runs."""
        self.running[number] = (0, None)
        if self._live is None:
            self.say(f"trial {number} started")

    def reported(self, number: int, step: int, value: float) -> None:
        """Note a result."""
        self.running[number] = (step, value)
        if self.best is None or self.sign * value > self.sign * self.best[1]:
            self.best = (number, value)

    def ended(self, number: int, *, early: bool) -> None:
        """Note that a trial has ended, of itself or (``early``) by the scheduler."""
        step, value = self.running.pop(number, (0, None))
        self.done += 1
        self.stopped += early
        if self._live is None:
            how = "stopped" if early else "finished"
            shown = "" if value is None else f", {self.metric} {value:.4f}"
            self.say(f"trial {number} {how} after {step} steps{shown} · {self._summary()}")

    def failed(self, number: int, error: str, folder: str | None) -> None:
        """Say at once that a trial has failed, why and where."""
        self.running.pop(number, None)
        self.done += 1
        self.failures += 1
        self.say(f"trial {number} FAILED: {error}{f' · {folder}' if folder else ''}")

    def refresh(self) -> None:
        """Draw, but not more often than eyes need."""
        if self._live is None or time.monotonic() - self._drawn < REFRESH_SECONDS:
            return
        self._drawn = time.monotonic()
        self._live.update(self._table(), refresh=True)

    def _summary(self) -> str:
        parts = [f"{self.done}/{self.total} done", f"{len(self.running)} running"]
        if self.stopped:
            parts.append(f"{self.stopped} stopped early")
        if self.failures:
            parts.append(f"{self.failures} failed")
        if self.best is not None:
            parts.append(f"best {self.metric} {self.best[1]:.4f} (trial {self.best[0]})")
        if (left := self._left()) is not None:
            parts.append(f"eta {left // 60:.0f}:{left % 60:02.0f}")
        return " · ".join(parts)

    def _left(self) -> float | None:
        done = self.done - self.earlier
        if done < 1:
            return None
        return (time.monotonic() - self.begin) / done * max(0, self.total - self.done)

    def _table(self) -> Group:
        table = Table(box=None)
        for name in ("trial", "step", self.metric):
            table.add_column(name, justify="right")
        for number, (step, value) in sorted(self.running.items()):
            table.add_row(str(number), str(step), "" if value is None else f"{value:.4f}")
        return Group(Text(self._summary()), table)
