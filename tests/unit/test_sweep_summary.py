"""The screen that a sweep ends with."""

from __future__ import annotations

import io

from rich.console import Console

from digits.evaluation.trials import Results, Trial, read
from digits.tasks.screens import sweep as sweep_summary
from tests.unit import sweeps


def printed(results, folder, pictures=()):
    console = Console(file=io.StringIO(), width=160)
    sweep_summary.show(results, folder, pictures, console)
    return console.file.getvalue()


def test_search_is_shown_by_rank_with_its_failures_and_the_next_command(tmp_path):
    (tmp_path / "best.yaml").write_text("overrides: []\n")
    text = printed(read(sweeps.write(sweeps.search(), tmp_path)), tmp_path)
    assert "11 jobs in 61 s: 3 stopped early, 6 finished, 1 failed, 1 not started" in text
    first = next(line for line in text.splitlines() if line.startswith("1 "))
    assert first.split()[1:5] == ["4", "cnn", "0.01", "90.50%"]
    assert "job 7 failed: optimizer.lr: it diverged\n  /sweep/7" in text
    assert f"experiment=best sweep={tmp_path}" in text


def test_seeds_share_a_row(tmp_path):
    trials = [
        Trial(number, "finished", {"model": model, "seed": str(seed)}, values=(value,))
        for number, (model, seed, value) in enumerate(
            [("mlp", 1, 0.91), ("mlp", 2, 0.93), ("cnn", 1, 0.98), ("cnn", 2, 0.96)]
        )
    ]
    results = Results(("validation/accuracy",), ("max",), "finished", 1.0, tuple(trials))
    assert "seed" not in sweep_summary.header(results)
    rows = sweep_summary.rows(results, results.groups())
    assert [row[:4] for row in rows] == [
        ["1", "2, 3", "cnn", "97.00 ± 1.41 %"],
        ["2", "0, 1", "mlp", "92.00 ± 1.41 %"],
    ]


def test_a_long_table_is_cut(tmp_path):
    trials = tuple(Trial(n, "finished", {"lr": str(n)}, values=(n,)) for n in range(30))
    text = printed(Results(("value",), ("max",), "finished", 1.0, trials), tmp_path)
    assert "… and 10 more" in text
