"""What the entry point itself reads of a tree, besides the task, and what may stand there."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field

from digits.config.parts import Part, Value
from digits.config.suggestion import show
from digits.config.tree import Reader
from digits.config.values import faults
from digits.errors import Finding

# Read by Hydra, a sweeper or the entry point, before there is a task or beside it.
OUTSIDE = ("hydra", "sweep", "tuner", "ray", "search_space")

Seed = Annotated[int, Field(ge=0, lt=2**32)]  # what numpy's generators take


def folder_fault(folder: Any) -> str | None:
    """Say why ``folder`` cannot be where a job writes, or return None."""
    if not isinstance(folder, str) or not folder.strip():
        return f"must be a folder, not {show(folder)}"
    if folder.startswith("~"):
        return f"write the folder out: ~ is not expanded here, in {show(folder)}"
    return None


def _is(annotation: Any) -> Callable[[Part], Iterator[Finding]]:
    return lambda part: faults(part, annotation, lambda node: None)


def _is_folder(part: Part) -> Iterator[Finding]:
    fault = folder_fault(part.value) if isinstance(part, Value) else None
    if fault is not None:
        yield Finding(part.key, fault)


FRAME: Mapping[str, Callable[[Part], Iterator[Finding]]] = {
    "seed": _is(Seed),
    "check_only": _is(bool),
    "paths.root": _is_folder,
    "paths.output": _is_folder,
    "paths.cache": _is_folder,
    "tracking": lambda part: iter(()),
}


def frame_faults(reader: Reader, frame: Collection[str]) -> Iterator[Finding]:
    """Yield what is wrong with the values at the keys of ``frame`` that the tree has."""
    faulty: set[str] = set()
    for name in frame:
        part = reader.find(name)
        # What is made from a faulty value is faulty with it, and is mended with it.
        if part is None or name not in FRAME or reader.links.get(name, set()) & faulty:
            continue
        for finding in FRAME[name](part):
            faulty.add(name)
            yield finding
