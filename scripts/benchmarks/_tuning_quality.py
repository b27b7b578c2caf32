"""Stopping losers early against training all of a grid: what is found, and for how much."""

from __future__ import annotations

import functools
import shlex
from collections.abc import Sequence
from statistics import median

from scripts.benchmarks._results import Results, show, spread
from scripts.benchmarks._tuning_runs import leaderboard, scratch, sweep

COMMAND = ["model=cnn", "tuner=asha"]
EPOCHS = 9
RECIPE = [
    "data=mnist",
    "data.train_size=10000",
    "data.validation_size=10000",  # a point of accuracy is 100 images
    "model=lenet",
    "augmentation=affine_batched",
    f"trainer.max_epochs={EPOCHS}",
]
SPACE = {
    "optimizer.lr": "0.001,0.007,0.05",
    "loader.batch_size": "32,64,128",
    "optimizer.weight_decay": "0.01,0.1,1.0",
}
CONFIGURATIONS = 27
LISTS = [f"{key}={values}" for key, values in SPACE.items()]
# Drawn without repetition: the same configurations in random order. The first trials at a rung
# always pass it; in the order of the lists they would be of one learning rate.
SHUFFLED = [f"{key}=choice({values})" for key, values in SPACE.items()]
SEARCHES = {
    "grid": ["tuner=grid"],
    "asha": [
        "tuner=asha",
        f"tuner.num_samples={CONFIGURATIONS}",
        "tuner.grace_period=1",
        "tuner.reduction_factor=4",
    ],
    # A job has one core here too, without a loader process beside it.
    "launcher": ["hydra/launcher=ray", "loader.num_workers=0"],
}
SPACES = {"grid": LISTS, "asha": SHUFFLED, "launcher": LISTS}
BEST = ("optimizer.lr", "loader.batch_size", "optimizer.weight_decay", "model.dropout")
VALUES = ["seconds", "best", "trials", "pruned", "epochs", *BEST]


def searched(overrides: Sequence[str]) -> dict[str, float]:
    """Time a sweep of ``run.py``; what it found is the best of the trials that finished."""
    with scratch() as folder:
        ran = sweep(overrides, folder)
        trials = leaderboard(folder)
    best = trials[0]
    return {
        "seconds": ran.seconds,
        "best": float(best["validation/accuracy"]),
        "trials": len(trials),
        "pruned": sum(trial["status"] == "pruned" for trial in trials),
        # The sweeper counts steps, which are epochs here.
        "epochs": sum(int(trial.get("epochs") or trial["steps"]) for trial in trials),
        **{key: float(best[key]) for key in BEST if key in best},
    }


def command(repeats: int, *, fresh: bool) -> None:
    """Measure what is missing of the users' own command, then print the table."""
    results = Results("tuning_command", VALUES, fresh=fresh)
    case = f"python run.py {' '.join(COMMAND)} -m"
    for repeat in range(repeats):
        results.measure(case, repeat, lambda _: searched(COMMAND), command=case, overrides=COMMAND)
    rows: list[tuple[str, str, float, int]] = [
        ("minutes, goal ≤ 5", "seconds", 1 / 60, 2),
        ("trials", "trials", 1, 0),
        ("stopped early, goal ≥ 1", "pruned", 1, 0),
        ("epochs", "epochs", 1, 0),
        ("accuracy of the best on validation (%)", "best", 100, 2),
        ("its optimizer.lr", "optimizer.lr", 1, 5),
        ("its loader.batch_size", "loader.batch_size", 1, 0),
        ("its model.dropout", "model.dropout", 1, 3),
    ]
    shown = [
        [title, spread(results.column(case, name), scale, digits)]
        for title, name, scale, digits in rows
    ]
    show(f"{case}, {repeats} repeats", ["", "mean ± sd (range)"], shown)


def quality(repeats: int, *, fresh: bool) -> None:
    """Measure what is missing of ASHA beside the whole grid, then print the table."""
    results = Results("tuning_quality", VALUES, fresh=fresh)
    for seed in range(repeats):
        for case, search in SEARCHES.items():
            recipe = [*RECIPE, f"seed={seed}"]
            typed = [*recipe, *search, *SPACES[case]]
            shown = f"python run.py {shlex.join(typed)} -m"
            run = functools.partial(lambda typed, _: searched(typed), typed)
            results.measure(case, seed, run, command=shown, overrides=recipe)
    column = {case: functools.partial(results.column, case) for case in SEARCHES}
    accuracies = zip(column["grid"]("best"), column["asha"]("best"), strict=True)
    gaps = [100 * (whole - found) for whole, found in accuracies]
    shares = _ratios(column["asha"]("epochs"), column["grid"]("epochs"))
    times = _ratios(column["asha"]("seconds"), column["launcher"]("seconds"))
    rows = [
        [
            case,
            spread(column[case]("best"), 100),
            spread(column[case]("epochs"), 1, 0),
            spread(column[case]("seconds"), 1 / 60, 1),
        ]
        for case in SEARCHES
    ]
    title = f"{CONFIGURATIONS} configurations of at most {EPOCHS} epochs, {repeats} seeds"
    show(title, ["search", "best accuracy on validation %", "epochs", "minutes"], rows)
    for name, values, goal in (
        ("points below the best of the grid", gaps, "0.1"),
        ("% of its epochs", shares, "35"),
        ("% of the launcher's time", times, "45"),
    ):
        print(f"asha: median {median(values):.2f}, {spread(values)} {name}, goal ≤ {goal}")


def _ratios(values: Sequence[float], others: Sequence[float]) -> list[float]:
    return [100 * value / other for value, other in zip(values, others, strict=True)]
