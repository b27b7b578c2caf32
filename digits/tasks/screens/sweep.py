"""The one screen a sweep ends with: its jobs by rank, what failed, what to type next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from rich.console import Console
from rich.table import Table

from digits.evaluation.trials import LEADERBOARD_FILE, SEED, Group, Results, Trial
from digits.tasks import commands
from digits.tasks.best import BEST_FILE
from digits.tasks.screens import screen

MOST_ROWS = 20
MOST_FAILURES = 5
WORDS = {"pruned": "stopped early", "pending": "not started"}


def show(
    results: Results, folder: Path, pictures: Sequence[Path], console: Console | None = None
) -> None:
    """Print the table, the failures, and where everything is."""
    console = console or screen.standard_output()
    console.print(f"\n[bold]{headline(results)}[/bold]", highlight=False)
    groups = results.groups()
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in header(results):
        table.add_column(name, overflow="fold")
    for row in rows(results, groups[:MOST_ROWS]):
        table.add_row(*row)
    console.print(table)
    if len(groups) > MOST_ROWS:
        console.print(f"… and {len(groups) - MOST_ROWS} more: {folder / LEADERBOARD_FILE}")
    _show_failures(results, console)
    console.print(f"leaderboard  {folder / LEADERBOARD_FILE}", highlight=False, soft_wrap=True)
    if pictures:
        console.print(f"pictures     {pictures[0].parent}", highlight=False, soft_wrap=True)
    if (folder / BEST_FILE).is_file() and len(results.metrics) == 1:
        command = commands.run("experiment=best", f"sweep={folder}")
        screen.show_next([(command, "train the best in full")], console)


def headline(results: Results) -> str:
    """Say in one line how many jobs ended how: ``12 jobs in 63 s: 11 finished, 1 failed``."""
    counts = Counter(trial.status for trial in results.trials)
    parts = [f"{count} {WORDS.get(status, status)}" for status, count in counts.items()]
    took = "" if results.seconds is None else f" in {results.seconds:,.0f} s"
    jobs = "1 job" if len(results.trials) == 1 else f"{len(results.trials)} jobs"
    return f"{jobs}{took}: {', '.join(parts)}"


def header(results: Results) -> list[str]:
    """Return the names of the table's columns."""
    keys = [key for key in results.keys if key != SEED or not _averages(results)]
    return ["rank", "job", *keys, *results.metrics, "status", "epochs", "seconds"]


def rows(results: Results, groups: Sequence[Group]) -> list[list[str]]:
    """Return one row of text per group, in their order."""
    keys = [key for key in results.keys if key != SEED or not _averages(results)]
    return [
        [
            str(place) if group.counting else "–",
            ", ".join(str(trial.number) for trial in group.trials),
            *(group.trials[0].overrides.get(key, "") for key in keys),
            *_values(results, group),
            _status(group.trials),
            _mean([trial.epochs for trial in group.trials]),
            _mean([trial.seconds for trial in group.trials]),
        ]
        for place, group in enumerate(groups, start=1)
    ]


def _averages(results: Results) -> bool:
    """Tell whether several seeds of one configuration stand in one row."""
    return SEED in results.keys


def _values(results: Results, group: Group) -> list[str]:
    """Return each metric: the value, or mean ± standard deviation; the last one of what failed."""
    means, deviations = group.means(), group.deviations()
    if means is None:
        last = group.trials[0].values if len(group.trials) == 1 else None
        return (
            [f"({shown(name, value)})" for name, value in zip(results.metrics, last, strict=True)]
            if last
            else ["–"] * len(results.metrics)
        )
    spreads = deviations or [None] * len(means)
    return [
        shown(name, mean, spread)
        for name, mean, spread in zip(results.metrics, means, spreads, strict=True)
    ]


def shown(metric: str, value: float, spread: float | None = None) -> str:
    """Return a value of ``metric`` as text: shares in per cent, others with four digits."""
    if metric.endswith("accuracy"):
        return f"{value:.2%}" if spread is None else f"{100 * value:.2f} ± {100 * spread:.2f} %"
    return f"{value:.4g}" if spread is None else f"{value:.4g} ± {spread:.2g}"


def _status(trials: Sequence[Trial]) -> str:
    counts = Counter(WORDS.get(trial.status, trial.status) for trial in trials)
    if len(counts) == 1:
        return next(iter(counts))
    return ", ".join(f"{count} {status}" for status, count in counts.items())


def _mean(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{fmean(known):.3g}" if known else "–"


def _show_failures(results: Results, console: Console) -> None:
    failed = [trial for trial in results.trials if trial.status == "failed"]
    for trial in failed[:MOST_FAILURES]:
        console.print(
            f"[bold]job {trial.number} failed[/bold]: ", end="", highlight=False, soft_wrap=True
        )
        console.print(
            f"{trial.error or 'for an unknown reason'}\n  {trial.folder or 'it has no folder'}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    if len(failed) > MOST_FAILURES:
        console.print(f"… and {len(failed) - MOST_FAILURES} more failed")
