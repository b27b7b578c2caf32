"""Ranges to draw from, as they are written in a configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

Range = tuple[float, float]
AxisRanges = Annotated[dict[str, Range], Field(min_length=2, max_length=2)]


def by_axis(name: str, ranges: Range | AxisRanges) -> tuple[Range, Range]:
    """Return the ranges of x and y, which may be one for both.

    Raises:
        ValueError: a range runs backwards, or the keys are not x and y; ``name`` is said.
    """
    if not isinstance(ranges, Mapping):
        return (ascending(name, ranges),) * 2
    if set(ranges) != {"x", "y"}:
        raise ValueError(f"{name} must have the keys x and y, not {' and '.join(ranges)}")
    return ascending(name, ranges["x"]), ascending(name, ranges["y"])


def ascending(name: str, bounds: Range) -> Range:
    """Return ``bounds`` if they ascend, or are equal.

    Raises:
        ValueError: they do not; ``name`` is said.
    """
    low, high = bounds
    if low > high:
        raise ValueError(f"{name} must run from low to high, not {written(bounds)}")
    return low, high


def written(ranges: Range | AxisRanges) -> str:
    """Write ranges as they are typed: ``[1, 2]``."""
    if isinstance(ranges, Mapping):
        return str({axis: list(bounds) for axis, bounds in ranges.items()})
    return str(list(ranges))
