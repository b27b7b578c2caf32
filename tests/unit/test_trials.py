"""Trials of a sweep: read, ranked, averaged over seeds, written as a table."""

from __future__ import annotations

import csv

import pytest

from digits.evaluation.trials import Results, Trial, read, write_leaderboard
from tests.unit import sweeps


@pytest.fixture
def results(tmp_path):
    return read(sweeps.write(sweeps.search(), tmp_path))


def of(*trials, modes=("max",)):
    return Results(("a", "b")[: len(modes)], modes, "finished", 1.0, trials)


def finished(number, *values, **overrides):
    return Trial(number, "finished", overrides, values=values)


def test_trials_are_read(results):
    assert results.keys == ["model", "optimizer.lr"]
    assert [trial.number for trial in results.trials] == list(range(11))
    third = results.trials[3]
    assert (third.overrides["optimizer.lr"], third.epochs, third.run_id) == ("0.003", 4, "run3")
    assert results.trials[10].folder is None


def test_finished_trials_rank_before_those_stopped_early_and_failed_ones_not_at_all(results):
    ranked = [trial.number for trial in results.ranked()]
    assert ranked[0] == 4
    assert set(ranked[-3:]) == {0, 6, 8}
    assert not {7, 10} & set(ranked)


def test_a_result_that_is_no_number_is_never_the_best():
    assert [t.number for t in of(finished(0, float("nan")), finished(1, 0.1)).ranked()] == [1]


def test_less_is_better_where_the_mode_says_so():
    results = of(finished(0, 3.0), finished(1, 2.0), modes=("min",))
    assert results.ranked()[0].number == 1


def test_front_holds_what_nothing_surpasses():
    trials = (finished(0, 0.9, 5.0), finished(1, 0.8, 1.0), finished(2, 0.7, 2.0))
    assert [t.number for t in of(*trials, modes=("max", "min")).front()] == [0, 1]


def test_seeds_of_one_configuration_are_averaged():
    results = of(
        finished(0, 0.8, model="mlp", seed="1"),
        finished(1, 0.9, model="cnn", seed="1"),
        finished(2, 0.6, model="mlp", seed="2"),
        Trial(3, "failed", {"model": "cnn", "seed": "2"}),
    )
    first, second = results.groups()
    assert first.means() == (0.9,)
    assert first.deviations() is None
    assert second.means() == (pytest.approx(0.7),)
    assert second.deviations() == (pytest.approx(0.1 * 2**0.5),)


def test_repeated_configurations_stay_apart_where_no_seed_is_swept():
    assert len(of(finished(0, 0.8, model="mlp"), finished(1, 0.7, model="mlp")).groups()) == 2


def test_leaderboard_has_a_line_per_trial(results, tmp_path):
    write_leaderboard(results, tmp_path / "leaderboard.csv")
    rows = list(csv.DictReader((tmp_path / "leaderboard.csv").read_text().splitlines()))
    assert len(rows) == 11
    assert rows[0]["rank"] == "1"
    assert rows[0]["job"] == "4"
    assert rows[0]["optimizer.lr"] == "0.01"
    assert float(rows[0]["validation/accuracy"]) == pytest.approx(0.98 - 0.3 / 4)
    failed = next(row for row in rows if row["status"] == "failed")
    assert failed["rank"] == ""
    assert failed["error"] == "optimizer.lr: it diverged"
