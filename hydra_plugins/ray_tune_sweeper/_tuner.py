"""Ray Tune at work on the trials that are left."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ray import tune

from hydra_plugins.ray_tune_sweeper import _journal as journal
from hydra_plugins.ray_tune_sweeper._display import Display
from hydra_plugins.ray_tune_sweeper._job import Recipe
from hydra_plugins.ray_tune_sweeper._manifest import JOURNALS, PLACE
from hydra_plugins.ray_tune_sweeper._monitor import Brake, Monitor
from hydra_plugins.ray_tune_sweeper._plan import Cell, Planned
from hydra_plugins.ray_tune_sweeper._results import Objective
from hydra_plugins.ray_tune_sweeper._schedule import Schedule
from hydra_plugins.ray_tune_sweeper._search import NumberedSearch
from hydra_plugins.ray_tune_sweeper._settings import Settings
from hydra_plugins.ray_tune_sweeper._trainable import HydraTrial, Payload

SCRATCH = "ray"


@dataclass(frozen=True)
class Left:
    """What a sweep still has to do.

    Attributes:
        planned: the trials; None where a searcher suggests them.
        again: with a searcher, numbers of trials that Tune hears of once more: those under way,
            and those that have ended where the scheduler compares with them.
        count: how many trials Tune is given.
        ended: how many have ended, in all.
        total: trials of the whole sweep.
    """

    planned: Sequence[Planned] | None
    again: Sequence[int]
    count: int
    ended: int
    total: int

    @classmethod
    def of(
        cls,
        planned: Sequence[Planned] | None,
        earlier: Mapping[int, journal.Story],
        *,
        total: int | None,
        schedule: Schedule,
        retries: int,
    ) -> Left:
        """Subtract what has ended; a failed trial only when it has had its retries."""
        ended = [
            number
            for number, story in earlier.items()
            if (story.status == journal.FAILED and story.failures > retries)
            or story.status == journal.FINISHED
            or (story.status == journal.PRUNED and not schedule.pauses)
        ]
        silent = {n for n in ended if not schedule.replays or not earlier[n].steps}
        silent |= {n for n in ended if earlier[n].status == journal.FAILED}
        begun = [number for number, story in earlier.items() if story.params]
        whole = len(planned) if planned is not None else max(total or 0, len(begun))
        if len(ended) >= whole:
            return cls(planned, (), 0, len(ended), whole)
        if planned is not None:
            rest = [each for each in planned if each.number not in silent]
            return cls(rest, (), len(rest), len(ended), whole)
        again = [number for number in sorted(begun) if number not in silent]
        return cls(None, again, len(again) + whole - len(begun), len(ended), whole)


def tune_trials(
    settings: Settings,
    recipe: Recipe,
    *,
    left: Left,
    parts: Sequence[Cell],
    schedule: Schedule,
    earlier: Mapping[int, journal.Story],
) -> str | None:
    """Run the trials that are left; return why they were ended, None when they came to an end."""
    brake = Brake(recipe.sweep / PLACE)
    payload = _payload(settings, recipe, schedule)
    display = Display(
        total=left.total,
        done=left.ended if not schedule.replays else 0,
        metric=settings.objective.metrics[0],
        larger_is_better=settings.objective.modes[0] == "max",
        best=_best(settings.objective, earlier),
    )
    monitor = Monitor(
        journals=payload.journals,
        brake=brake,
        display=display,
        objective=settings.objective,
        stops_at_failure=settings.on_failure == "stop",
        stall_s=settings.stall_s,
        time_budget_s=settings.time_budget_s,
    )
    tuner = tune.Tuner(
        tune.with_resources(
            tune.with_parameters(HydraTrial, payload=payload), dict(settings.resources)
        ),
        **_search(settings, left, parts, schedule=schedule, earlier=earlier),
        run_config=tune.RunConfig(
            name=SCRATCH,
            storage_path=str(recipe.sweep / PLACE),
            stop=brake,
            callbacks=[monitor],
            failure_config=tune.FailureConfig(max_failures=settings.retries),
            verbose=0,
        ),
    )
    with display, brake.on_signals(display.say), warnings.catch_warnings():
        # Tune's own tables are off, and it says that they will look different.
        warnings.filterwarnings("ignore", message=".*RAY_AIR_NEW_OUTPUT.*")
        tuner.fit()
    _settle(payload, brake.reason)
    return brake.reason


def _settle(payload: Payload, reason: str | None) -> None:
    """Write down how trials stand whose workers could not any more.

    Tune gives a stopped trial seconds to leave, and hears nothing of one that is killed meanwhile.
    Where trials pause, those that look pruned when a sweep is stopped are only waiting.
    """
    waiting = {journal.RUNNING, journal.PRUNED} if payload.pauses else {journal.RUNNING}
    for number, story in journal.stories(payload.journals).items():
        own = journal.Journal(payload.journals, number)
        if reason is not None and story.status in waiting:
            own.append(status=journal.INTERRUPTED)
        elif story.status == journal.RUNNING:
            own.append(status=journal.PRUNED)


def _payload(settings: Settings, recipe: Recipe, schedule: Schedule) -> Payload:
    objective = settings.objective
    return Payload(
        recipe,
        recipe.sweep / PLACE / JOURNALS,
        metrics=tuple(objective.metrics),
        worst={
            name: -math.inf if mode == "max" else math.inf
            for name, mode in zip(objective.metrics, objective.modes, strict=True)
        },
        max_t=settings.max_t,
        replays=schedule.replays,
        pauses=schedule.pauses,
    )


def _search(
    settings: Settings,
    left: Left,
    parts: Sequence[Cell],
    *,
    schedule: Schedule,
    earlier: Mapping[int, journal.Story],
) -> dict[str, Any]:
    """Return which trials Tune runs and how it chooses among them, as it takes them."""
    objective = settings.objective
    single = len(objective.metrics) == 1
    search = _searcher(settings, left, parts, earlier) if left.planned is None else None
    trials = [
        {"number": each.number, "params": _latest(each, earlier)} for each in left.planned or ()
    ]
    return {
        "param_space": {"trial": tune.grid_search(trials)} if search is None else {},
        "tune_config": tune.TuneConfig(
            metric=objective.metrics[0] if single else None,
            mode=objective.modes[0] if single else None,
            scheduler=schedule.scheduler,
            search_alg=search,
            num_samples=left.count if search is not None else 1,
            max_concurrent_trials=settings.max_concurrent,
            reuse_actors=True,
            trial_name_creator=_name,
            trial_dirname_creator=_name,
        ),
    }


def _searcher(
    settings: Settings,
    left: Left,
    parts: Sequence[Cell],
    earlier: Mapping[int, journal.Story],
) -> NumberedSearch:
    return NumberedSearch(
        settings.searcher,
        parts,
        metrics=settings.objective.metrics,
        modes=settings.objective.modes,
        seed=settings.seed,
        earlier=earlier,
        again=left.again,
    )


def _best(objective: Objective, earlier: Mapping[int, journal.Story]) -> tuple[int, float] | None:
    """Return the number and value of the best trial so far."""
    for story in objective.best(list(earlier.values())):
        return story.number, (objective.values(story) or [0.0])[0]
    return None


def _latest(planned: Planned, earlier: Mapping[int, journal.Story]) -> dict[str, Any]:
    """Return a trial's values: population based training may have changed them."""
    story = earlier.get(planned.number)
    return dict(story.params if story and story.params else planned.params)


def _name(trial: Any) -> str:
    return f"{trial.config['trial']['number']:05d}"
