"""Pictures of a sweep, from what a sweeper wrote."""

from __future__ import annotations

import pytest

from digits.evaluation import sweep_figures, swept_figures
from digits.evaluation.figures import ACCENT, FADED, INK
from digits.evaluation.trials import Results, Trial, read
from tests.unit import sweeps
from tests.unit.test_figures import colours, has


@pytest.fixture
def results(tmp_path):
    return read(sweeps.write(sweeps.search(), tmp_path))


def test_every_picture_of_a_search_is_drawn(results, tmp_path):
    drawn = sweep_figures.draw(results, tmp_path / "figures")
    assert [file.name for file in drawn] == [
        "budget.png",
        "parallel_coordinates.png",
        "importance.png",
    ]
    assert all(len(colours(file)) > 10_000 for file in drawn)


def test_budget_shows_the_best_the_finished_and_the_stopped(results, tmp_path):
    file = sweep_figures.budget(results, tmp_path / "budget.png")
    assert all(has(file, colour) for colour in (ACCENT, INK, FADED))


def test_parallel_coordinates_highlight_the_best(results, tmp_path):
    file = sweep_figures.parallel_coordinates(results, tmp_path / "p.png")
    assert has(file, ACCENT)


def test_importance_is_that_of_the_key_that_counts(results, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(swept_figures, "save", lambda figure, file: drawn.append(figure))
    sweep_figures.importance(results, tmp_path / "i.png")
    (axes,) = drawn[0].axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["model", "optimizer.lr"]
    assert axes.patches[1].get_width() > 2 * axes.patches[0].get_width()


def test_several_metrics_have_a_pareto_front(tmp_path):
    content = sweeps.search() | {"metric": list(sweeps.METRICS), "mode": ["max", "min"]}
    for trial in content["trials"]:
        last = trial["steps"][-1]["metrics"] if trial["steps"] else None
        trial["value"] = last and [last[name] for name in sweeps.METRICS]
    drawn = sweep_figures.draw(read(sweeps.write(content, tmp_path)), tmp_path)
    assert drawn[-1].name == "pareto.png"
    assert has(drawn[-1], ACCENT)
    assert has(drawn[-1], FADED)


@pytest.mark.parametrize("values", [(0.5, 0.5), (0.5, 0.6), (0.10000000149011612,) * 2])
def test_two_jobs_without_reports_or_with_equal_results_can_be_drawn(tmp_path, values):
    trials = tuple(
        Trial(number, "finished", {"seed": str(number)}, values=(value,))
        for number, value in enumerate(values)
    )
    results = Results(("value",), ("max",), "finished", 1.0, trials)
    drawn = sweep_figures.draw(results, tmp_path)
    assert [file.name for file in drawn] == ["parallel_coordinates.png"]


def test_nothing_is_drawn_of_jobs_that_all_failed(tmp_path):
    results = Results(("value",), ("max",), "failed", 1.0, (Trial(0, "failed", {"seed": "1"}),))
    assert sweep_figures.draw(results, tmp_path) == []
