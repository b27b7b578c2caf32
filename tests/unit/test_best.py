"""`experiment=best sweep=<folder>` stands for the overrides of the sweep's best job."""

from __future__ import annotations

import pytest

from digits.errors import ConfigError
from digits.tasks.best import expanded


def sweep(folder, text):
    folder.mkdir()
    (folder / "best.yaml").write_text(text)
    return folder


def test_overrides_of_the_best_job_come_before_those_typed_now(tmp_path):
    sweep(tmp_path / "one", "job: 7\noverrides: [model=cnn, optimizer.lr=0.003]\n")
    typed = ["experiment=best", "sweep=one", "optimizer.lr=0.1"]
    assert expanded(typed, tmp_path) == ["model=cnn", "optimizer.lr=0.003", "optimizer.lr=0.1"]


def test_the_best_of_a_search_that_began_at_the_best_of_another(tmp_path):
    sweep(tmp_path / "one", "overrides: [model=cnn]\n")
    sweep(tmp_path / "two", "overrides: [experiment=best, sweep=one, seed=2]\n")
    assert expanded(["experiment=best", "sweep=two"], tmp_path) == ["model=cnn", "seed=2"]


def test_other_overrides_stay_as_they_are(tmp_path):
    typed = ["experiment=mnist_fast", "sweep.resume=null", "model=cnn"]
    assert expanded(typed, tmp_path) == typed


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "no best.yaml"),
        ("pareto: [{job: 3}, {job: 5}]\n", "jobs 3, 5"),
        ("metric: a\n", "names no overrides"),
        ("- [\n", "cannot be read"),
    ],
)
def test_a_folder_without_one_best_job_is_refused(tmp_path, text, words):
    (tmp_path / "one").mkdir()
    if text is not None:
        (tmp_path / "one" / "best.yaml").write_text(text)
    with pytest.raises(ConfigError, match=words):
        expanded(["experiment=best", "sweep=one"], tmp_path)


@pytest.mark.parametrize("typed", [["experiment=best"], ["experiment=best", "sweep=nowhere"]])
def test_an_unnamed_or_unknown_sweep_is_refused(tmp_path, typed):
    with pytest.raises(ConfigError, match="sweep"):
        expanded(typed, tmp_path)
