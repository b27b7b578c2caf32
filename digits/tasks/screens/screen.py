"""The screen that a task ends with: what came out, where it is, what to type next."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

PIPED_WIDTH = 1000  # columns where there is no terminal: no path is folded


def standard_output() -> Console:
    """Return a console that is as wide as the terminal, or wide enough for any line."""
    return Console(width=None if sys.stdout.isatty() else PIPED_WIDTH)


def show(
    rows: Sequence[tuple[str, str]],
    next_commands: Sequence[tuple[str, str]],
    *,
    console: Console | None = None,
    tables: Sequence[Table] = (),
) -> None:
    """Print (name, value) pairs, further tables, and each (command, what it gives) to type next."""
    console = console or standard_output()
    facts = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    facts.add_column(style="bold")
    facts.add_column(overflow="fold")
    for row in rows:
        facts.add_row(*row)
    for table in (facts, *tables):
        console.print(table)
    show_next(next_commands, console)


def show_next(next_commands: Sequence[tuple[str, str]], console: Console) -> None:
    """Print commands as they can be typed, each with what it gives."""
    console.print("\nNext:")
    for command, gives in next_commands:
        text = f"  [bold]{escape(command)}[/bold]   [dim]# {gives}[/dim]"
        console.print(text, highlight=False, soft_wrap=True)
