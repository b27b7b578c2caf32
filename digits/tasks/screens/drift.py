"""The one screen that `task=drift` ends with: what changed, what it costs, what to do about it."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from digits import STARTED
from digits.monitoring.evidently_report import HTML, Columns
from digits.monitoring.monitor import Finding
from digits.monitoring.window import Window
from digits.tasks import commands

LOUD = 3  # signals that are named


@dataclass(frozen=True)
class DriftSummary:
    """What the table shows."""

    window: Window
    model: str
    finding: Finding
    is_drift: bool
    columns: Columns | None
    lacks: Sequence[str]
    history: int
    folder: Path
    run_id: str
    same: Sequence[str] = ()
    traffic: Sequence[str] = ()
    serving: Sequence[str] = ()

    def rows(self) -> list[tuple[str, str]]:
        """The table, as (name, value) pairs."""
        found = self.finding
        return [
            ("verdict", f"{'DRIFT' if self.is_drift else found.status}: {found.reason}"),
            ("window", self.window.name),
            ("against", f"the held-out data of {self.model}, {found.before:.2%} right"),
            *(self._told() if found.now is not None else []),
            *self._notes(),
            *([("history", f"{self.history} windows so far")] if self.history else []),
            ("run", self.run_id),
            ("pictures", str(self.folder)),
            *([("Evidently's", str(self.folder / HTML))] if self.columns else []),
            ("all in all", f"{time.monotonic() - STARTED:.0f} s"),
        ]

    def _told(self) -> list[tuple[str, str]]:
        found, now = self.finding, self.finding.now
        assert now is not None
        loud = sorted(found.shares.items(), key=lambda pair: pair[1])[:LOUD]
        named = ", ".join(f"{name.replace('_', ' ')} {_odds(share)}" for name, share in loud)
        known = f"{now.labels} confirmed labels" if now.labels else "no labels"
        rows = [
            ("by chance", f"{_odds(found.chance)} clean windows looks like this"),
            ("loudest", named),
            ("unlike the reference", f"{found.foreign:.0%} of the images"),
            (
                "accuracy now",
                f"about {now.accuracy:.1%} (95 % interval {now.low:.1%} to {now.high:.1%}), "
                f"from {known}",
            ),
        ]
        if self.columns is not None:
            said = "its test passes" if self.columns.passed else "its test fails"
            counted = f"{self.columns.drifted} of {self.columns.all} columns have drifted"
            rows.append(("Evidently", f"{counted}; {said}"))
        return rows

    def _notes(self) -> list[tuple[str, str]]:
        notes = []
        if self.window.images is None and len(self.window):
            notes.append("pixels were not kept: judged by the answers alone")
        if self.lacks:
            notes.append(f"the bundle has no {', '.join(self.lacks)}: fewer signals")
        return [("note", note) for note in notes]

    def facts(self) -> dict[str, Any]:
        """The same as plain data; what is not known is None."""
        found, now = self.finding, self.finding.now
        return {
            "status": found.status,
            "drift": self.is_drift,
            "reason": found.reason,
            "window": self.window.name,
            "images": found.count,
            "model": self.model,
            "chance": None if math.isnan(found.chance) else found.chance,
            "signals": dict(found.shares),
            "foreign_share": found.foreign,
            "accuracy": {
                "reference": found.before,
                "estimate": None if now is None else now.accuracy,
                "interval": None if now is None else [now.low, now.high],
                "labels": 0 if now is None else now.labels,
            },
            "run_id": self.run_id,
        }

    def numbers(self) -> dict[str, float]:
        """What is logged as metrics."""
        found, now = self.finding, self.finding.now
        numbers = {"drift/images": float(found.count), "drift/detected": float(self.is_drift)}
        if now is None:
            return numbers
        return numbers | {
            "drift/chance": found.chance,
            "drift/foreign_share": found.foreign,
            "drift/accuracy": now.accuracy,
            "drift/accuracy_low": now.low,
            "drift/accuracy_high": now.high,
            "drift/accuracy_before": found.before,
            **{f"drift/signal/{name}": share for name, share in found.shares.items()},
        }

    def next_commands(self) -> list[tuple[str, str]]:
        """(command, what it gives); each works as it stands."""
        if self.finding.status in ("steady", "unknown"):
            serve = commands.run("task=serve", *self.same, *self.serving)
            return [(serve, "serve on; the panel is at /drift")]
        here = [*self.same, *self.traffic]
        return [
            (commands.run("task=select", *here), "queue the images worth a label"),
            (commands.run("task=drift", *here), "again, with the labels of /label"),
        ]


def _odds(share: float) -> str:
    return f"1 in {1 / share:,.0f}" if share < 0.5 else "1 in 1"
