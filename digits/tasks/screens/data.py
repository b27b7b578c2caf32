"""What `task=data` shows: the versions as trees, each below what it was made of; what changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table
from rich.tree import Tree

from digits.data.changes import Changes
from digits.data.version import Version
from digits.tasks import commands
from digits.tasks.screens import screen


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
    console = screen.standard_output()
    now = {each.version.digest: each for each in kept}
    for tree in trees(everything, now):
        console.print(tree, highlight=False, soft_wrap=True)
    last = kept[-1].version
    plain = ["augmentation=none"] if last.stage == "augmented" else []
    data = [] if last.name == "uci" else [f"data={last.name}"]
    following = [
        (commands.run(*data, f"data.version={last}", *plain), "train on it"),
        (commands.run("task=lineage", f"of={last}"), "what came of it"),
    ]
    two = _two_to_compare(kept, everything)
    if two:
        compare = f"compare=[{two[0]},{two[1]}]"
        following.append((commands.run("task=data", compare), f"what changed in {two[0].stage}"))
    screen.show_next(following, console)


def _two_to_compare(
    kept: Sequence[Kept], everything: Sequence[Version]
) -> tuple[Version, Version] | None:
    """Return the first of the kept versions that has another of its stage, and the last such."""
    for now in (each.version for each in kept):
        others = [
            version
            for version in everything
            if version.stage == now.stage and version.digest != now.digest
        ]
        if others:
            return max(others, key=lambda version: version.made[-1].when), now
    return None


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
    """Return what a version is and what made it last, and below it with which settings."""
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
    told = escape(settings(version))
    return "  ".join(parts) + (f"\n[dim]{told}[/dim]" if told else "")


def settings(version: Version) -> str:
    """Return the settings that made a version of what it was made of; augmentations by name."""
    values = {
        key: value for key, value in version.settings.items() if not key.startswith("augmentation.")
    }
    steps = [key.split(".") for key in version.settings if key.startswith("augmentation.steps.")]
    if version.stage == "augmented":
        values = {key: values[key] for key in ("copies", "seed")}
    told = [f"{key}={'null' if value is None else value}" for key, value in values.items()]
    return " ".join([*told, *dict.fromkeys(step[2] for step in steps)])


def short(commit: str) -> str:
    """Return the beginning of a commit, with its mark of local changes."""
    number, dash, dirty = commit.partition("-")
    return f"{number[:8]}{dash}{dirty}"


def show_changes(found: Changes, before: Version, after: Version, sheet: Path) -> None:
    """Print how many samples changed in which way, and where the pictures are."""
    console = screen.standard_output()
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="bold")
    table.add_column(justify="right")
    for kind, count in found.counts().items():
        table.add_row(kind, f"{count:,}")
    console.print(f"{after.name}, {after.stage}: {before} → {after}", highlight=False)
    console.print(table)
    console.print(f"contact sheet  {sheet}", highlight=False, soft_wrap=True)
