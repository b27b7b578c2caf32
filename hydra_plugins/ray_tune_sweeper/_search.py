"""A searcher that knows job numbers, and what an earlier part of the sweep has found."""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from ray import tune
from ray.tune.search import Searcher

from hydra_plugins.ray_tune_sweeper._journal import FINISHED, PRUNED, Story
from hydra_plugins.ray_tune_sweeper._plan import Cell
from hydra_plugins.ray_tune_sweeper._schedule import ScheduleError, arguments, domain, target_class
from hydra_plugins.ray_tune_sweeper._space import Choice, Draw, Interval

PACKAGE = "ray.tune.search."


class NumberedSearch(Searcher):
    """Ask one searcher per cell in turn, and number what they suggest.

    Trials of an earlier part of the sweep come first: those that have ended are told to the
    searchers, and given again where the scheduler should hear of them (``again``).
    """

    def __init__(
        self,
        node: Mapping[str, Any],
        cells: Sequence[Cell],
        *,
        metrics: Sequence[str],
        modes: Sequence[str],
        seed: int,
        earlier: Mapping[int, Story],
        again: Sequence[int],
    ) -> None:
        super().__init__(metric=metrics[0], mode=modes[0])
        self.metrics = list(metrics)
        self.cells = list(cells)
        self.again = [(number, earlier[number].params) for number in again]
        self.begun = {number for number, story in earlier.items() if story.params}
        self.trials: dict[str, int] = {}
        self.resumed: dict[str, Mapping[str, Draw]] = {}
        self.known: set[int] = set()
        self.searchers = [
            searcher(node, cell, metrics=metrics, modes=modes, seed=seed + len(earlier) + index)
            for index, cell in enumerate(cells)
        ]
        for story in earlier.values():
            if story.status in (FINISHED, PRUNED) and story.steps:
                self._tell(story.params, story.steps[-1]["metrics"])
                self.known.add(story.number)

    def set_search_properties(
        self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any
    ) -> bool:
        """Everything is known already."""
        return True

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """Return the next trial: its number, and a value for each dimension."""
        if self.again:
            number, given = self.again.pop(0)
            if number not in self.known:
                self.resumed[trial_id] = given
            return {"trial": {"number": number, "params": dict(given)}}
        number = next(each for each in itertools.count() if each not in self.begun)
        index = number % len(self.cells)
        found: Any = self.searchers[index].suggest(trial_id)
        if not isinstance(found, dict):
            return None  # nothing more to suggest now
        self.begun.add(number)
        cell = self.cells[index]
        names = _names(cell)
        self.trials[trial_id] = index
        params: dict[str, Draw] = dict(cell.groups)
        for key, name in names.items():
            dimension = cell.space[key]
            value = found[name]
            params[key] = dimension.clip(value) if isinstance(dimension, Interval) else value
        return {"trial": {"number": number, "params": params}}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Pass a result on."""
        if trial_id in self.trials:
            self.searchers[self.trials[trial_id]].on_trial_result(trial_id, result)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Pass the end of a trial on."""
        if trial_id in self.trials:
            searcher = self.searchers[self.trials.pop(trial_id)]
            searcher.on_trial_complete(trial_id, result, error)
        elif trial_id in self.resumed and result and not error:
            self._tell(self.resumed.pop(trial_id), result)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: what is needed stands in the journals."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing."""

    def _tell(self, params: Mapping[str, Draw], metrics: Mapping[str, float]) -> None:
        """Tell the cell's searcher of a result. Tune's searchers take only one metric this way."""
        value = metrics.get(self.metrics[0], math.nan)
        if len(self.metrics) > 1 or not math.isfinite(value):
            return
        for cell, searcher in zip(self.cells, self.searchers, strict=True):
            if all(params.get(key) == choice for key, choice in cell.groups.items()):
                names = _names(cell)
                searcher.add_evaluated_point(
                    {name: params[key] for key, name in names.items()}, value
                )
                return


def _names(cell: Cell) -> dict[str, str]:
    """Return names without the delimiters that searchers choke on."""
    return {key: f"p{index}" for index, key in enumerate(cell.space)}


def searcher(
    node: Mapping[str, Any],
    cell: Cell,
    *,
    metrics: Sequence[str],
    modes: Sequence[str],
    seed: int,
) -> Searcher:
    """Build the searcher that ``node`` names for one cell.

    Tune's searchers differ in what they take; this is what its Optuna one does.

    Raises:
        ScheduleError: it cannot be built.
    """
    kind = target_class(node, PACKAGE, "searcher")
    if (optuna := sys.modules.get("optuna")) is not None:
        # A line for the study and one for each of its trials, which are shown already.
        optuna.logging.set_verbosity(optuna.logging.WARNING)
    names = _names(cell)
    space = {
        names[key]: tune.choice(list(each.values)) if isinstance(each, Choice) else domain(each)
        for key, each in cell.space.items()
    }
    if hasattr(kind, "convert_search_space"):
        space = kind.convert_search_space(space)  # done silently; the constructor would warn
    single = len(metrics) == 1
    try:
        built = kind(
            space=space,
            metric=metrics[0] if single else list(metrics),
            mode=modes[0] if single else list(modes),
            seed=seed,
            **arguments(node),
        )
    except (TypeError, ValueError, AssertionError, ImportError) as error:
        raise ScheduleError(f"hydra.sweeper.searcher: {error}") from None
    assert isinstance(built, Searcher)
    return built
