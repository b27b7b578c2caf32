"""The parts of a configuration tree, each with the key at which it is written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

TARGET = "_target_"


@dataclass(frozen=True)
class Value:
    """A plain value: number, text, true, false or null."""

    key: str
    value: Any


@dataclass(frozen=True)
class Broken:
    """A value that cannot be had; a finding says why."""

    key: str


@dataclass(frozen=True)
class Mapping:
    """A mapping; with a ``_target_`` it is a *node*: something that is built."""

    key: str
    items: dict[str, Part] = field(default_factory=dict)

    @property
    def is_node(self) -> bool:
        """Whether it has a ``_target_``."""
        return TARGET in self.items


@dataclass(frozen=True)
class Sequence:
    """A list."""

    key: str
    items: list[Part] = field(default_factory=list)


Part: TypeAlias = Value | Broken | Mapping | Sequence


def children(part: Part) -> Iterator[Part]:
    """Yield the direct parts of ``part``."""
    if isinstance(part, Mapping):
        yield from part.items.values()
    elif isinstance(part, Sequence):
        yield from part.items


def plain(part: Part) -> Any:
    """Return ``part`` as dict, list and scalars; what is broken is None."""
    if isinstance(part, Mapping):
        return {name: plain(item) for name, item in part.items.items()}
    if isinstance(part, Sequence):
        return [plain(item) for item in part.items]
    return part.value if isinstance(part, Value) else None
