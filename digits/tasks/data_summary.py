"""What `task=data` shows: the versions as trees, each below what it was made of; what changed."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.tree import Tree

from digits.data.changes import Changes
from digits.data.versions import Version
from digits.tasks import commands

PIPED_WIDTH = 120  # columns where there is no terminal to ask


@dataclass(frozen=True)
class Kept:
    """A version that this command has kept, or found kept already.

    Attributes:
        version: the version.
        is_new: whether it was uploaded now.
        seconds: what keeping it took.
    """

    version: Version
    is_new: bool
    seconds: float


def told(version: Version) -> dict[str, Any]:
    """Return all that is known of a version, ready for JSON."""
    return {
        "digest": version.digest,
        "stage": version.stage,
        "name": version.name,
        "description": version.description,
        "settings": dict(version.settings),
        "shapes": {name: list(shape) for name, shape in version.shapes.items()},
        "made": [made.model_dump(mode="json") for made in version.made],
        "run_id": version.run_id,
    }


def show(kept: Sequence[Kept], everything: Sequence[Version]) -> None:
    """Print every version of the source below what it was made of, and what to type next."""
    console = _console()
    now = {each.version.digest: each for each in kept}
    for tree in trees(everything, now):
        console.print(tree, highlight=False, soft_wrap=True)
    last = kept[-1].version
    plain = ["augmentation=none"] if last.stage == "augmented" else []
    data = [] if last.name == "uci" else [f"data={last.name}"]
    console.print("\nNext:")
    train = commands.run(*data, f"data.version={last}", *plain)
    lineage = commands.run("task=lineage", f"of={last}")
    for command, gives in ((train, "train on it"), (lineage, "what came of it")):
        text = f"  [bold]{command}[/bold]   [dim]# {gives}[/dim]"
        console.print(text, highlight=False, soft_wrap=True)


def trees(versions: Sequence[Version], kept: Mapping[str, Kept]) -> list[Tree]:
    """Return a tree for each version that was made of none of the others."""
    known = {version.digest: version for version in versions}

    def grow(tree: Tree, digest: str) -> None:
        for version in versions:
            if digest in version.parents:
                grow(tree.add(line(version, kept)), version.digest)

    roots = [
        version for version in versions if not any(parent in known for parent in version.parents)
    ]
    grown = []
    for version in roots:
        tree = Tree(line(version, kept))
        grow(tree, version.digest)
        grown.append(tree)
    return grown


def line(version: Version, kept: Mapping[str, Kept]) -> str:
    """Return one line on a version: what it is, and what made it last."""
    made = version.made[-1]
    parts = [
        f"[bold]{version.stage}[/bold] {version}",
        f"{version.samples:,} samples",
        f"{made.when:%Y-%m-%d %H:%M}",
        f"commit {short(made.commit)}",
        f"config {made.config_digest[:8]}",
    ]
    if version.digest in kept:
        found = kept[version.digest]
        state = f"new, {found.seconds:.1f} s" if found.is_new else "kept already"
        parts.append(f"[green]{state}[/green]")
    return "  ".join(parts)


def short(commit: str) -> str:
    """Return the beginning of a commit, with its mark of local changes."""
    number, dash, dirty = commit.partition("-")
    return f"{number[:8]}{dash}{dirty}"


def show_changes(found: Changes, before: Version, after: Version, sheet: Path) -> None:
    """Print how many samples changed in which way, and where the pictures are."""
    console = _console()
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="bold")
    table.add_column(justify="right")
    for kind, count in found.counts().items():
        table.add_row(kind, f"{count:,}")
    console.print(f"{after.name}, {after.stage}: {before} → {after}", highlight=False)
    console.print(table)
    console.print(f"contact sheet  {sheet}", highlight=False, soft_wrap=True)


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else PIPED_WIDTH)
