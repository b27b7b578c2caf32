"""The search space in Hydra's override grammar: fixed overrides, groups and dimensions."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import (
    ChoiceSweep,
    IntervalSweep,
    Override,
    Quote,
    QuotedString,
    RangeSweep,
    Transformer,
)
from hydra.errors import CompactHydraException, HydraException

Draw = str | int | float
DIGITS = 5  # significant ones of a drawn number: it is read, typed and compared by people


class SpaceError(CompactHydraException):
    """A search space that cannot be searched."""


@dataclass(frozen=True)
class Choice:
    """One of several values, as override text.

    Attributes:
        listed: written as a plain list (``a=1,2``): every value is tried.
        shuffled: gone through in another order than written.
    """

    values: tuple[str, ...]
    listed: bool = False
    shuffled: bool = False

    def draw(self, generator: random.Random) -> Draw:
        """Return a value at random."""
        return generator.choice(self.values)

    def ends(self) -> tuple[Draw, ...]:
        """Return the values worth checking: all."""
        return self.values


@dataclass(frozen=True)
class Interval:
    """A number between two bounds, both included."""

    low: float
    high: float
    log: bool = False
    integer: bool = False

    def draw(self, generator: random.Random) -> Draw:
        """Return a number at random, uniform in the interval or in its logarithm."""
        share = generator.random()
        if self.integer:
            count = int(self.high) - int(self.low) + 1
            if not self.log:
                return int(self.low) + int(share * count)
            return self.clip(math.floor(self.low * ((self.high + 1) / self.low) ** share))
        if self.log:
            return self.clip(self.low * (self.high / self.low) ** share)
        return self.clip(self.low + share * (self.high - self.low))

    def points(self, count: int) -> list[Draw]:
        """Return evenly spaced values, the bounds among them (a single one is the middle)."""
        shares = [each / (count - 1) for each in range(count)] if count > 1 else [0.5]
        if self.log:
            values = [self.low * (self.high / self.low) ** share for share in shares]
        else:
            values = [self.low + share * (self.high - self.low) for share in shares]
        return list(dict.fromkeys(map(self.clip, values)))

    def clip(self, value: float) -> Draw:
        """Return ``value`` moved into the interval and rounded as draws are."""
        bounded = min(max(value, self.low), self.high)
        if self.integer:
            return round(bounded)
        return min(max(float(f"{bounded:.{DIGITS}g}"), self.low), self.high)

    def ends(self) -> tuple[Draw, ...]:
        """Return the two bounds."""
        return self.clip(self.low), self.clip(self.high)


Dimension = Choice | Interval


@dataclass(frozen=True)
class Parsed:
    """Overrides, sorted into what is fixed and what is searched."""

    fixed: tuple[str, ...] = ()
    groups: Mapping[str, Choice] = field(default_factory=dict)
    dimensions: Mapping[str, Dimension] = field(default_factory=dict)


def parse(
    overrides: Sequence[str], *, parser: OverridesParser, is_group: Callable[[str], bool]
) -> Parsed:
    """Sort overrides; a later one of the same key replaces an earlier one.

    Raises:
        SpaceError: a sweep that cannot be searched, with its key.
        OverrideParseException: bad grammar.
    """
    fixed: dict[str, str] = {}
    groups: dict[str, Choice] = {}
    dimensions: dict[str, Dimension] = {}
    for override in parser.parse_overrides(overrides=list(overrides)):
        key = str(override.get_key_element())
        for known in (fixed, groups, dimensions):
            for same in [each for each in known if bare(each) == bare(key)]:
                del known[same]
        if not override.is_sweep_override():
            fixed[key] = str(override.input_line)
            continue
        dimension = _dimension(override)
        if is_group(override.key_or_group):
            if not isinstance(dimension, Choice):
                raise SpaceError(f"{key}: a config group takes a list of its options")
            groups[key] = dimension
        else:
            dimensions[key] = dimension
    return Parsed(tuple(fixed.values()), groups, dimensions)


def bare(key: str) -> str:
    """Return a key without the signs that add or delete it."""
    return key.lstrip("+~")


def written(key: str, value: Any) -> str:
    """Return an override for a value that stands in a YAML mapping: text is in Hydra's grammar."""
    if isinstance(value, str):
        return f"{key}={value}"
    return f"{key}={Override._get_value_element_as_str(value)}"


def text(key: str, value: Draw) -> str:
    """Return the override that sets ``key`` to a drawn value."""
    return f"{key}={value}"


def _dimension(override: Override) -> Dimension:
    key, value = override.get_key_element(), override.value()
    if isinstance(value, IntervalSweep):
        low, high = value.start, value.end
        integer = {type(low), type(high)} == {int}
        log = "log" in value.tags
        if unknown := value.tags - {"log"}:
            raise SpaceError(f"{key}: the tag of an interval is log, not {', '.join(unknown)}")
        if low is None or high is None or not low < high:
            raise SpaceError(f"{key}: interval({low}, {high}) is empty")
        if not (math.isfinite(low) and math.isfinite(high)):
            raise SpaceError(f"{key}: interval({low}, {high}) has no end")
        if log and low <= 0:
            raise SpaceError(f"{key}: a logarithmic interval starts above 0, not at {low}")
        return Interval(low, high, log=log, integer=integer)
    if isinstance(value, ChoiceSweep | RangeSweep):
        # Hydra shuffles without a seed, so its own order is taken and ours shuffled later.
        shuffled, value.shuffle = value.shuffle, False
        if isinstance(value, ChoiceSweep):
            values = tuple(map(_encoded, value.list))
        else:
            values = tuple(map(str, override.sweep_iterator(transformer=Transformer.encode)))
        if not values:
            raise SpaceError(f"{key}: nothing to choose from")
        listed = isinstance(value, ChoiceSweep) and value.simple_form
        return Choice(values, listed=listed, shuffled=shuffled)
    raise SpaceError(f"{key}: {override.input_line} cannot be searched over")


def _encoded(value: Any) -> str:
    """Return a value as override text, quoted where it would be read as something else."""
    if isinstance(value, QuotedString):
        return value.with_quotes()
    if isinstance(value, str) and not _reads_as(value):
        return QuotedString(text=value, quote=Quote.single).with_quotes()
    return Override._get_value_element_as_str(value)


def _reads_as(value: str) -> bool:
    """Tell whether plain text is read as itself; ``choice`` hands quoted text over unquoted."""
    try:
        override = OverridesParser.create().parse_override(f"x={value}")
    except HydraException:
        return False
    return not override.is_sweep_override() and override.value() == value
