"""What a sweep found: the best of it, and the files that say so."""

from __future__ import annotations

import csv
import json
import math

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser

from hydra_plugins.ray_tune_sweeper._journal import (
    FAILED,
    FINISHED,
    INTERRUPTED,
    PENDING,
    PRUNED,
    RUNNING,
    Story,
)
from hydra_plugins.ray_tune_sweeper._results import Objective, Results

HIGHEST = Objective(["acc"], ["max"])
BOTH = Objective(["acc", "loss"], ["max", "min"])


def story(number, *values, status=FINISHED, **others):
    """A trial that reported these values of `acc`, one after the other; `loss` is 1 - acc."""
    steps = [
        {"step": n, "metrics": {"acc": acc, "loss": 1 - acc}, "seconds": float(n)}
        for n, acc in enumerate(values, 1)
    ]
    return Story(number, status=status, params={"x": number / 10}, steps=steps, **others)


def pair(number, acc, loss, status=FINISHED):
    steps = [{"step": 1, "metrics": {"acc": acc, "loss": loss}, "seconds": 1.0}]
    return Story(number, status=status, params={"x": number}, steps=steps)


def numbers(objective, *stories):
    return [each.number for each in objective.best(stories)]


def test_best_is_the_best_last_value_of_a_finished_trial():
    assert numbers(HIGHEST, story(0, 0.9, 0.5), story(1, 0.1, 0.7), story(2, 0.6)) == [1]
    lowest = Objective(["loss"], ["min"])
    assert numbers(lowest, story(0, 0.5), story(1, 0.7)) == [1]


@pytest.mark.parametrize("status", [PRUNED, FAILED, INTERRUPTED, RUNNING, PENDING])
def test_trial_that_has_not_finished_is_not_the_best(status):
    assert numbers(HIGHEST, story(0, 0.5), story(1, 0.9, status=status)) == [0]


def test_pruned_trial_is_the_best_only_where_none_finished():
    assert numbers(HIGHEST, story(0, 0.5, status=PRUNED), story(1, 0.9, status=FAILED)) == [0]


def test_sweep_without_a_result_has_no_best():
    assert numbers(HIGHEST) == []
    assert numbers(HIGHEST, story(0), story(1, 0.9, status=FAILED)) == []
    assert numbers(HIGHEST, story(0, math.nan)) == []


@pytest.mark.parametrize("mode", ["min", "max"])
def test_nan_is_never_the_best(mode):
    objective = Objective(["acc"], [mode])
    assert numbers(objective, story(0, math.nan), story(1, 0.1), story(2, math.nan)) == [1]
    ranked = sorted([story(0, math.nan), story(1, 0.1)], key=objective.rank)
    assert [each.number for each in ranked] == [1, 0]


def test_finished_with_nan_only_leaves_the_pruned_one():
    assert numbers(HIGHEST, story(0, math.nan), story(1, 0.4, status=PRUNED)) == [1]


def test_trials_that_no_other_beats_in_everything_make_the_pareto_front():
    found = numbers(
        BOTH,
        pair(0, 0.9, 0.5),
        pair(1, 0.8, 0.1),
        pair(2, 0.8, 0.4),  # beaten by 1
        pair(3, 0.95, 0.05, PRUNED),
        pair(4, 0.5, 0.6),  # beaten by all
        pair(5, math.nan, 0.0),
    )
    assert found == [0, 1]


def test_equal_trials_are_both_on_the_front():
    assert numbers(BOTH, pair(0, 0.9, 0.5), pair(1, 0.9, 0.5)) == [0, 1]


@pytest.fixture
def stories():
    return [
        story(0, 0.5, 0.6, folder="/s/0", notes={"run_id": "r0"}, seconds=2.0),
        Story(
            1,
            status=FINISHED,
            params={"model": "a", "+w": "'a,b'", "x": 1e-05},
            folder="/s/1",
            steps=[{"step": 1, "metrics": {"acc": 0.8, "loss": 0.2}, "seconds": 1.5}],
            notes={"run_id": "r1", "checkpoint": "/s/1/last.ckpt"},
            seconds=1.5,
        ),
        story(2, 0.7, status=PRUNED, folder="/s/2"),
        story(3, status=FAILED, error="no luck", folder="/s/3"),
        story(4, status=PENDING),
    ]


def write(folder, objective, stories):
    Results(folder, objective, stories, ["epochs=6", "+z=[1,2]"], "finished", 12.3456).write()


def test_trials_file_tells_everything(tmp_path, stories):
    write(tmp_path, HIGHEST, stories)
    content = json.loads((tmp_path / "trials.json").read_text())
    assert {key: content[key] for key in ("metric", "mode", "status", "seconds")} == {
        "metric": ["acc"],
        "mode": ["max"],
        "status": "finished",
        "seconds": 12.346,
    }
    trials = content["trials"]
    assert [each["number"] for each in trials] == [0, 1, 2, 3, 4]
    assert trials[1] == {
        "number": 1,
        "status": "finished",
        "overrides": {"model": "a", "+w": "'a,b'", "x": "1e-05"},
        "folder": "/s/1",
        "steps": stories[1].steps,
        "value": [0.8],
        "notes": {"run_id": "r1", "checkpoint": "/s/1/last.ckpt"},
        "error": None,
        "seconds": 1.5,
    }
    assert trials[3]["error"] == "no luck" and trials[3]["value"] is None
    assert trials[4]["folder"] is None


def test_leaderboard_ranks_the_finished_before_the_pruned_before_the_rest(tmp_path, stories):
    write(tmp_path, HIGHEST, stories)
    with (tmp_path / "leaderboard.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["job"] for row in rows][:3] == ["1", "0", "2"]
    assert [row["rank"] for row in rows] == ["1", "2", "3", "4", "5"]
    assert rows[0] | {"x": "1e-05", "model": "a", "acc": "0.8", "steps": "1"} == rows[0]
    assert rows[1]["model"] == "" and rows[3]["acc"] == ""


def test_best_file_names_the_trial_and_the_line_that_repeats_it(tmp_path, stories):
    write(tmp_path, HIGHEST, stories)
    best = yaml.safe_load((tmp_path / "best.yaml").read_text())
    command = best.pop("command")
    assert best == {
        "metric": "acc",
        "mode": "max",
        "value": 0.8,
        "job": 1,
        "folder": "/s/1",
        "run_id": "r1",
        "checkpoint": "/s/1/last.ckpt",
        "overrides": ["epochs=6", "+z=[1,2]", "model=a", "+w='a,b'", "x=1e-05"],
    }
    assert command.startswith("python ") and "model=a" in command
    OverridesParser.create().parse_overrides(best["overrides"])


def test_optimization_results_have_the_form_of_the_optuna_plugin(tmp_path, stories):
    write(tmp_path, HIGHEST, stories)
    content = yaml.safe_load((tmp_path / "optimization_results.yaml").read_text())
    assert content == {
        "name": "ray_tune",
        "best_params": {"model": "a", "+w": "a,b", "x": 1e-05},
        "best_value": 0.8,
    }


def test_several_metrics_give_a_front_in_every_file(tmp_path):
    write(tmp_path, BOTH, [pair(0, 0.9, 0.5), pair(1, 0.8, 0.1), pair(2, 0.7, 0.6)])
    best = yaml.safe_load((tmp_path / "best.yaml").read_text())
    assert [each["job"] for each in best["pareto"]] == [0, 1]
    assert best["pareto"][0]["value"] == [0.9, 0.5]
    solutions = yaml.safe_load((tmp_path / "optimization_results.yaml").read_text())
    assert solutions == {
        "name": "ray_tune",
        "solutions": [
            {"params": {"x": 0}, "values": [0.9, 0.5]},
            {"params": {"x": 1}, "values": [0.8, 0.1]},
        ],
    }


def test_sweep_without_a_result_still_lists_its_trials(tmp_path):
    write(tmp_path, HIGHEST, [story(0, status=FAILED, error="no luck")])
    assert not (tmp_path / "best.yaml").exists()
    assert json.loads((tmp_path / "trials.json").read_text())["trials"][0]["error"] == "no luck"


def test_diverged_trial_leaves_the_trials_file_plain_json(tmp_path):
    write(tmp_path, HIGHEST, [story(0, math.nan), story(1, 0.5)])

    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    text = (tmp_path / "trials.json").read_text()
    assert json.loads(text, parse_constant=refuse)["trials"][1]["value"] == [0.5]
