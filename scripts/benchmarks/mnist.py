"""Accuracy of the MNIST recipes on the official test set, 3 seeds each."""

from __future__ import annotations

import functools

from scripts.benchmarks._results import Results, arguments, run_task, show, spread

#: case -> (overrides, lowest mean accuracy in per cent)
RECIPES: dict[str, tuple[list[str], float]] = {
    "default cnn": (["data=mnist"], 99.5),
    "tiny": (["experiment=mnist_tiny"], 99.4),
    "mnist_best": (["experiment=mnist_best"], 99.7),
}


def trained(overrides: list[str], seed: int) -> dict[str, float]:
    """Train one recipe."""
    metrics = run_task([*overrides, f"seed={seed}"])
    return {
        "accuracy": metrics["test/accuracy"],
        "loss": metrics["test/loss"],
        "fit_seconds": metrics["fit/seconds"],
        "waiting": metrics["fit/waiting_share"],
    }


def main() -> None:
    """Measure what is missing, then print the table."""
    options = arguments(__doc__, seeds=3)
    results = Results("mnist", ["accuracy", "loss", "fit_seconds", "waiting"], fresh=options.fresh)
    for name, (overrides, _) in RECIPES.items():
        for seed in range(options.seeds):
            typed = [*overrides, f"seed={seed}"]
            command = f"python run.py {' '.join(typed)}"
            row = functools.partial(trained, overrides)
            results.measure(name, seed, row, command=command, overrides=typed)
    rows = [
        [
            name,
            f"≥ {goal}",
            spread(results.column(name, "accuracy"), 100, 3),
            spread(results.column(name, "fit_seconds"), 1, 0),
            spread(results.column(name, "waiting"), 100, 1),
        ]
        for name, (_, goal) in RECIPES.items()
    ]
    header = ["recipe", "goal %", "accuracy %", "seconds of fit", "waiting for data %"]
    show(f"MNIST, official test set, last epoch, {options.seeds} seeds", header, rows)


if __name__ == "__main__":
    main()
