"""The trials of a search that needs no searcher: lists gone through, the rest drawn."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from hydra_plugins.ray_tune_sweeper._space import Choice, Dimension, Draw, Interval, SpaceError

REPEATS = 500  # draws of what was drawn before, after which a space counts as used up


@dataclass(frozen=True)
class Cell:
    """One choice of the swept groups, and the space of its own that is searched there."""

    groups: Mapping[str, str]
    space: Mapping[str, Dimension]


@dataclass(frozen=True)
class Planned:
    """One trial: its cell's groups, and a value for each dimension."""

    number: int
    params: Mapping[str, Draw]


def cells(groups: Mapping[str, Choice]) -> Iterator[dict[str, str]]:
    """Yield every combination of the swept groups."""
    names = list(groups)
    for values in itertools.product(*(groups[name].values for name in names)):
        yield dict(zip(names, values, strict=True))


def plan(
    parts: Sequence[Cell], *, count: int | None, seed: int, grid_points: int | None
) -> list[Planned]:
    """Return the trials of a search without a searcher, numbered from 0.

    Lists are gone through in order; the rest is drawn, each trial from its own seed, so that a
    longer plan begins with the shorter one. Cells take turns.

    Args:
        parts: the cells.
        count: trials in all; None for every combination.
        seed: of all draws.
        grid_points: grid search: go through every ``choice`` and ``range`` too, and through so
            many evenly spaced points of each interval. None to draw from these.

    Raises:
        SpaceError: something is drawn and ``count`` is None, or the lists make more than it.
    """
    trials = [list(_trials(cell, count, seed, grid_points)) for cell in parts]
    turns = [
        params for turn in itertools.zip_longest(*trials) for params in turn if params is not None
    ]
    listed = sum(map(len, trials)) if grid_points else sum(map(_listed, parts))
    if count is not None and listed > count:
        raise SpaceError(
            f"the lists make {listed} combinations, more than num_samples={count} trials"
        )
    return [Planned(number, params) for number, params in enumerate(turns[:count])]


def _listed(cell: Cell) -> int:
    """Count the combinations of the cell's plain lists: every one is tried."""
    return math.prod(
        len(each.values) for each in cell.space.values() if isinstance(each, Choice) and each.listed
    )


def _trials(
    cell: Cell, count: int | None, seed: int, grid_points: int | None
) -> Iterator[dict[str, Draw]]:
    listed: dict[str, Sequence[Draw]] = {
        key: _in_order(each, seed, key)
        for key, each in cell.space.items()
        if isinstance(each, Choice) and (each.listed or grid_points)
    }
    if grid_points:
        listed |= {
            key: each.points(grid_points)
            for key, each in cell.space.items()
            if isinstance(each, Interval)
        }
    drawn = {key: each for key, each in cell.space.items() if key not in listed}
    grid = [dict(zip(listed, each, strict=True)) for each in itertools.product(*listed.values())]
    if not drawn:
        yield from ({**cell.groups, **each} for each in grid)
        return
    if count is None:
        raise SpaceError(f"{next(iter(drawn))} is drawn at random: say how often, num_samples=...")
    yield from _drawn(cell, grid, drawn, seed=seed, count=count)


def _drawn(
    cell: Cell,
    grid: Sequence[Mapping[str, Draw]],
    drawn: Mapping[str, Dimension],
    *,
    seed: int,
    count: int,
) -> Iterator[dict[str, Draw]]:
    """Draw ``count`` trials, none of them twice; fewer where there are no more."""
    name = repr((seed, sorted(cell.groups.items())))
    seen: set[tuple[Draw, ...]] = set()
    turn = itertools.cycle(grid)
    place, repeated = next(turn), 0
    for attempt in itertools.count():
        if len(seen) == count or repeated == REPEATS:
            return
        generator = random.Random(f"{name}/{attempt}")
        values = {key: each.draw(generator) for key, each in drawn.items()}
        known = (*place.values(), *values.values())
        if known in seen:
            repeated += 1
            continue
        seen.add(known)
        yield {**cell.groups, **place, **values}
        place, repeated = next(turn), 0


def _in_order(choice: Choice, seed: int, key: str) -> list[str]:
    values = list(choice.values)
    if choice.shuffled:
        random.Random(f"{seed}/{key}").shuffle(values)
    return values
