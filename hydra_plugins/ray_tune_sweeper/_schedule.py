"""The scheduler that a sweep's configuration names, and what it cannot do."""

from __future__ import annotations

import inspect
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any

from hydra.errors import CompactHydraException
from hydra.utils import get_class
from ray import tune
from ray.tune.schedulers import (
    FIFOScheduler,
    HyperBandScheduler,
    MedianStoppingRule,
    PopulationBasedTraining,
    TrialScheduler,
)
from ray.tune.search.sample import Domain

from hydra_plugins.ray_tune_sweeper._plan import Cell
from hydra_plugins.ray_tune_sweeper._space import Choice, Dimension, bare

PACKAGE = "ray.tune.schedulers."


class ScheduleError(CompactHydraException):
    """A scheduler that cannot do what is asked of it."""


@dataclass(frozen=True)
class Schedule:
    """A scheduler and what trials have to know of it."""

    scheduler: TrialScheduler
    replays: bool
    pauses: bool


class Bounded:
    """Keep mutated values inside the space: Tune multiplies them by 0.8 and 1.2 as it likes."""

    def __init__(self, space: Mapping[str, Dimension]) -> None:
        self.space = dict(space)

    def __call__(self, config: dict[str, Any]) -> dict[str, Any]:
        """Return the configuration of a trial with its values in bounds."""
        params = config["trial"]["params"]
        for key, dimension in self.space.items():
            if not isinstance(dimension, Choice):
                params[key] = dimension.clip(params[key])
        return config


def target_class(node: Mapping[str, Any], package: str, key: str) -> type:
    """Return the class that ``node`` names, which must be one of ``package``.

    Raises:
        ScheduleError: it is not, or there is none of this name.
    """
    name = str(node.get("_target_", ""))
    if not name.startswith(package):
        raise ScheduleError(f"hydra.sweeper.{key}._target_: {name!r} is not one of {package}*")
    try:
        return get_class(name)
    except Exception as error:
        raise ScheduleError(f"hydra.sweeper.{key}._target_: {error}") from None


def arguments(node: Mapping[str, Any]) -> dict[str, Any]:
    """Return what ``node`` passes to its target."""
    return {key: value for key, value in node.items() if not str(key).startswith("_")}


def build(
    node: Mapping[str, Any] | None,
    *,
    cells: Sequence[Cell],
    metrics: Sequence[str],
    modes: Sequence[str],
    max_t: int | None,
    fixed_keys: Sequence[str],
    seed: int,
) -> Schedule:
    """Build the scheduler.

    Raises:
        ScheduleError: it cannot be built, or cannot schedule this space.
    """
    if node is None:
        return Schedule(FIFOScheduler(), replays=False, pauses=False)
    kind = target_class(node, PACKAGE, "scheduler")
    given = arguments(node)
    known = inspect.signature(kind).parameters
    given.setdefault("time_attr", "training_iteration")
    if "max_t" in known and max_t is not None:
        # Stopped at exactly max_t, every trial that finishes would count as stopped early.
        given["max_t"] = max_t + 1
    if len(metrics) > 1:
        given |= {"metric": metrics[0], "mode": modes[0]}
    if issubclass(kind, PopulationBasedTraining):
        given |= _mutations(cells, fixed_keys)
        random.seed(seed)  # it draws from the global generator
    try:
        scheduler = kind(**given)
    except (TypeError, ValueError, AssertionError, tune.TuneError) as error:
        raise ScheduleError(f"hydra.sweeper.scheduler: {error}") from None
    return Schedule(
        scheduler,
        replays=not isinstance(scheduler, PopulationBasedTraining),
        pauses=isinstance(
            scheduler, HyperBandScheduler | MedianStoppingRule | PopulationBasedTraining
        ),
    )


def _mutations(cells: Sequence[Cell], fixed_keys: Sequence[str]) -> dict[str, Any]:
    if len(cells) != 1 or cells[0].groups:
        raise ScheduleError(
            "population based training cannot search over a config group: "
            "a trial takes over the weights of another"
        )
    space = cells[0].space
    for key in space:
        if any(fnmatch(bare(key), pattern) for pattern in fixed_keys):
            raise ScheduleError(
                f"{key}: population based training changes values while a trial runs, and this "
                f"one cannot change: its weights or its data would no longer fit"
            )
    mutations = {key: domain(each) for key, each in space.items()}
    return {
        "hyperparam_mutations": {"trial": {"params": mutations}},
        "custom_explore_fn": Bounded(space),
    }


def domain(dimension: Dimension) -> Domain | list[Any]:
    """Return a dimension as Tune's; a choice as a list."""
    if isinstance(dimension, Choice):
        return list(dimension.values)
    low, high = dimension.low, dimension.high
    if dimension.integer:
        above = int(high) + 1  # Tune excludes the upper bound
        return tune.lograndint(int(low), above) if dimension.log else tune.randint(int(low), above)
    return tune.loguniform(low, high) if dimension.log else tune.uniform(low, high)
