"""The schedulers and searchers that a sweep's configuration names, and what is refused."""

from __future__ import annotations

import math
import random

import pytest

pytest.importorskip("ray.tune")

from ray.tune import schedulers

from hydra_plugins.ray_tune_sweeper import _schedule as schedule
from hydra_plugins.ray_tune_sweeper._journal import FINISHED, Story
from hydra_plugins.ray_tune_sweeper._plan import Cell
from hydra_plugins.ray_tune_sweeper._schedule import Bounded, ScheduleError, domain
from hydra_plugins.ray_tune_sweeper._search import NumberedSearch
from hydra_plugins.ray_tune_sweeper._space import Choice, Interval

RATE = Interval(1e-4, 1e-1, log=True)
SPACE = {"optimizer.lr": RATE, "width": Choice(("1", "2", "3")), "n": Interval(1, 9, integer=True)}
PBT = "ray.tune.schedulers.PopulationBasedTraining"
ASHA = "ray.tune.schedulers.ASHAScheduler"
TPE = "ray.tune.search.optuna.OptunaSearch"


def build(node, *, cells=None, metrics=("acc",), modes=("max",), max_t=6, fixed_keys=(), seed=0):
    return schedule.build(
        node,
        cells=cells or [Cell({}, SPACE)],
        metrics=metrics,
        modes=modes,
        max_t=max_t,
        fixed_keys=fixed_keys,
        seed=seed,
    )


def test_no_scheduler_lets_every_trial_run_to_its_end():
    plain = build(None)
    assert isinstance(plain.scheduler, schedulers.FIFOScheduler)
    assert not plain.replays and not plain.pauses


@pytest.mark.parametrize(
    ("name", "pauses", "replays"),
    [
        ("ASHAScheduler", False, True),
        ("HyperBandScheduler", True, True),
        ("MedianStoppingRule", True, True),
        ("PopulationBasedTraining", True, False),
    ],
)
def test_scheduler_counts_steps_and_says_what_trials_need(name, pauses, replays):
    found = build({"_target_": f"ray.tune.schedulers.{name}"})
    assert isinstance(found.scheduler, getattr(schedulers, name))
    assert found.scheduler._time_attr == "training_iteration"
    assert (found.pauses, found.replays) == (pauses, replays)


def test_trial_that_reaches_its_last_step_is_not_stopped_early():
    asha = build({"_target_": ASHA, "grace_period": 1, "reduction_factor": 2}, max_t=6).scheduler
    assert asha._max_t == 7


def test_of_several_metrics_the_first_one_schedules():
    node = {"_target_": ASHA, "grace_period": 2}
    asha = build(node, metrics=("acc", "loss"), modes=("max", "min")).scheduler
    assert (asha.metric, asha._mode) == ("acc", "max")
    assert asha._brackets[0]._rungs[-1][0] == 2
    assert build(node).scheduler.metric is None  # of a single one Tune tells the scheduler itself


def test_population_changes_every_dimension_and_draws_by_the_seed():
    population = build({"_target_": PBT}).scheduler
    assert population._hyperparam_mutations["trial"]["params"].keys() == SPACE.keys()
    drawn = []
    for seed in (3, 3, 4):
        build({"_target_": PBT}, seed=seed)
        drawn.append(random.random())
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize(
    ("node", "cause"),
    [
        ({"_target_": "os.system"}, "not one of ray.tune.schedulers"),
        ({"_target_": "ray.tune.schedulers.Nothing"}, "_target_"),
        ({}, "'' is not one of"),
        ({"_target_": ASHA, "patience": 3}, "patience"),
        ({"_target_": ASHA, "grace_period": 9}, "grace_period|max_t"),
        ({"_target_": ASHA, "reduction_factor": 1}, "(?i)reduction"),
    ],
)
def test_scheduler_that_cannot_be_built_is_refused(node, cause):
    with pytest.raises(ScheduleError, match=cause) as refused:
        build(node)
    assert str(refused.value).startswith("hydra.sweeper.scheduler")


def test_population_refuses_to_search_over_a_group():
    with pytest.raises(ScheduleError, match="config group"):
        build({"_target_": PBT}, cells=[Cell({"model": "a"}, SPACE)])
    with pytest.raises(ScheduleError, match="config group"):
        build({"_target_": PBT}, cells=[Cell({}, SPACE), Cell({}, SPACE)])


@pytest.mark.parametrize("key", ["model.width", "+model.width", "++model.width", "seed"])
def test_population_refuses_what_a_running_trial_cannot_change(key):
    with pytest.raises(ScheduleError, match="cannot change"):
        build({"_target_": PBT}, cells=[Cell({}, {key: RATE})], fixed_keys=["model.*", "seed"])


def test_mutated_values_return_into_their_bounds():
    bounded = Bounded(SPACE)
    params = {"optimizer.lr": 0.12, "width": "2", "n": 0}
    changed = bounded({"trial": {"number": 3, "params": params}})
    assert changed == {
        "trial": {"number": 3, "params": {"optimizer.lr": 0.1, "width": "2", "n": 1}}
    }


def test_domains_sample_what_the_space_holds():
    random.seed(0)
    assert domain(SPACE["width"]) == ["1", "2", "3"]
    for dimension in (
        RATE,
        Interval(-1.0, 1.0),
        SPACE["n"],
        Interval(1, 3, log=True, integer=True),
    ):
        samples = [domain(dimension).sample() for _ in range(200)]
        assert all(dimension.low <= each <= dimension.high for each in samples)
        if dimension.integer:
            assert {dimension.low, dimension.high} <= set(samples)


@pytest.mark.parametrize("integer", [False, True])
@pytest.mark.parametrize(("log", "share"), [(False, 0.1), (True, 0.67)])
def test_domains_are_even_in_the_interval_or_in_its_logarithm(integer, log, share):
    sampled = domain(Interval(1, 1000, log=log, integer=integer)).sample(size=2000)
    assert sum(each <= 100 for each in sampled) / 2000 == pytest.approx(share, abs=0.05)


def search(cells, *, metrics=("acc",), modes=("max",), earlier=None, again=(), node=None):
    return NumberedSearch(
        node or {"_target_": TPE},
        cells,
        metrics=metrics,
        modes=modes,
        seed=0,
        earlier=earlier or {},
        again=again,
    )


def story(number, params, *values):
    metrics = dict(zip(("acc", "loss"), values, strict=False))
    steps = [{"step": 1, "metrics": metrics, "seconds": 1.0}]
    return Story(number, status=FINISHED, params=params, steps=steps)


def test_searcher_numbers_trials_and_asks_cells_in_turn():
    pytest.importorskip("optuna")
    cells = [Cell({"model": "a"}, SPACE), Cell({"model": "b"}, {"optimizer.lr": RATE})]
    found = [search.suggest(f"id{n}")["trial"] for search in [search(cells)] for n in range(6)]
    assert [each["number"] for each in found] == list(range(6))
    assert [each["params"]["model"] for each in found] == ["a", "b"] * 3
    for each in found:
        cell = cells[each["number"] % 2]
        assert set(each["params"]) == {"model", *cell.space}
        assert RATE.low <= each["params"]["optimizer.lr"] <= RATE.high
        assert each["params"].get("width", "1") in SPACE["width"].values


def test_searcher_gives_trials_under_way_first_and_goes_on_with_the_numbers():
    pytest.importorskip("optuna")
    params = [{"optimizer.lr": 0.01 * n, "width": "1", "n": 3} for n in (1, 2, 3)]
    earlier = {n: story(n, params[n], 0.5) for n in range(3)}
    going_on = search([Cell({}, SPACE)], earlier=earlier, again=[1])
    first, second = (going_on.suggest(name)["trial"] for name in ("a", "b"))
    assert first == {"number": 1, "params": params[1]}
    assert second["number"] == 3


@pytest.mark.parametrize(
    ("metrics", "modes", "values"),
    [
        (("acc",), ("max",), (0.5,)),
        (("acc",), ("max",), (math.nan,)),
        (("acc", "loss"), ("max", "min"), (0.5, 0.4)),
        (("acc", "loss"), ("max", "min"), (0.5, math.nan)),
    ],
)
def test_searcher_hears_of_what_an_earlier_part_has_found(metrics, modes, values):
    pytest.importorskip("optuna")
    earlier = {0: story(0, {"optimizer.lr": 0.01, "width": "2", "n": 3}, *values)}
    going_on = search([Cell({}, SPACE)], metrics=metrics, modes=modes, earlier=earlier)
    assert going_on.suggest("a")["trial"]["number"] == 1


@pytest.mark.parametrize("target", ["os.system", "ray.tune.search.Nothing", ASHA])
def test_searcher_that_is_none_is_refused(target):
    with pytest.raises(ScheduleError, match=r"hydra\.sweeper\.searcher"):
        search([Cell({}, SPACE)], node={"_target_": target})
