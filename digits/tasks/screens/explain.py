"""The screen that an explanation ends with: what was explained, how the methods fared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table

from digits.evaluation.attribution_quality import Judged, Quality
from digits.tasks import commands

MOST_CAPTIONS = 8

#: heading -> figure of Quality, decimals; an arrow says which way is better
COLUMNS = {
    "deletion\narea ↓": ("deletion", 3),
    "insertion\narea ↑": ("insertion", 3),
    "in-\nfidelity ↓": ("infidelity", 3),
    "max-sensi-\ntivity ↓": ("max_sensitivity", 3),
    "complete-\nness gap ↓": ("completeness_gap", 4),
    "like un-\ntrained ↓": ("similarity", 3),
    "the same\non ink ↓": ("similarity_on_ink", 3),
    "s per\n1,000": ("seconds", 2),
}


@dataclass(frozen=True)
class ExplainSummary:
    """What the screen shows."""

    model: str
    explained: str
    captions: Sequence[str]
    unsuited: Mapping[str, str]
    judged: Judged | None
    folder: Path
    run_id: str
    all_methods: bool
    same: Sequence[str] = ()

    def rows(self) -> list[tuple[str, str]]:
        """The upper table, as (name, value) pairs."""
        shown = list(self.captions[:MOST_CAPTIONS])
        if len(self.captions) > len(shown):
            shown.append(f"and {len(self.captions) - len(shown)} more")
        return [
            ("model", self.model),
            ("explained", "\n".join([self.explained, *shown])),
            *(("left out", reason) for reason in self.unsuited.values()),
            ("pictures, arrays", str(self.folder)),
            ("run", self.run_id),
        ]

    def next_commands(self) -> list[tuple[str, str]]:
        """(command, what it gives); each works as it stands."""
        every = commands.run("task=explain", "explainer=all", *self.same)
        return [
            *([] if self.all_methods else [(every, "every method side by side")]),
            (
                commands.run("task=explain", "explain.indices=[0,1,2]", *self.same),
                "digits of your choice",
            ),
        ]


def cells(quality: Quality) -> list[str]:
    """Return a row of the lower table; a figure that does not apply is a dash."""
    values = [(getattr(quality, name), digits) for name, digits in COLUMNS.values()]
    return [f"{value:.{digits}f}" if isfinite(value) else "–" for value, digits in values]


def figures(summary: ExplainSummary) -> list[Table]:
    """Return the lower table, where the methods were judged."""
    if summary.judged is None:
        return []
    table = Table(
        title=f"\njudged on {summary.judged.count} digits",
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    for heading in ("", *COLUMNS):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    for name, quality in summary.judged.qualities.items():
        table.add_row(name.replace("_", " "), *cells(quality))
    return [table]
