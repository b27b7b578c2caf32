"""The screen that an explanation ends with: what was explained, how the methods fared."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from digits.evaluation.attribution_quality import Judged, Quality
from digits.tasks import commands

PIPED_WIDTH = 120  # columns where there is no terminal to ask
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

    def rows(self) -> list[tuple[str, str]]:
        """The upper table, as (name, value) pairs."""
        shown = list(self.captions[:MOST_CAPTIONS])
        if len(self.captions) > len(shown):
            shown.append(f"and {len(self.captions) - len(shown)} more")
        return [
            ("model", self.model),
            ("explained", "\n".join([self.explained, *shown])),
            *((f"no {name}", reason) for name, reason in self.unsuited.items()),
            ("pictures, arrays", str(self.folder)),
            ("run", self.run_id),
        ]

    def next_commands(self) -> list[tuple[str, str]]:
        """(command, what it gives); each works as it stands."""
        others = (
            []
            if self.all_methods
            else [(commands.run("task=explain", "explainer=all"), "every method side by side")]
        )
        return [
            *others,
            (commands.run("task=explain", "explain.indices=[0,1,2]"), "digits of your choice"),
        ]


def cells(quality: Quality) -> list[str]:
    """Return a row of the lower table; a figure that does not apply is a dash."""
    values = [(getattr(quality, name), digits) for name, digits in COLUMNS.values()]
    return [f"{value:.{digits}f}" if isfinite(value) else "–" for value, digits in values]


def show(summary: ExplainSummary, console: Console | None = None) -> None:
    """Print both tables and the next commands."""
    console = console or Console(width=None if sys.stdout.isatty() else PIPED_WIDTH)
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for row in summary.rows():
        table.add_row(*row)
    console.print(table)
    if summary.judged is not None:
        title = f"\njudged on {summary.judged.count} digits"
        figures = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
        for heading in ("", *COLUMNS):
            figures.add_column(heading, justify="right" if heading else "left", no_wrap=True)
        for name, quality in summary.judged.qualities.items():
            figures.add_row(name.replace("_", " "), *cells(quality))
        console.print(figures)
    console.print("\nNext:")
    for command, gives in summary.next_commands():
        console.print(f"  [bold]{command}[/bold]   [dim]# {gives}[/dim]", highlight=False)
