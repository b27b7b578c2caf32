"""Labels to an accuracy on MNIST, by way of choosing them, and with the unlabelled images used."""

from __future__ import annotations

import functools
import itertools
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from digits.active.comparison import GOALS
from digits.active.rounds import Curve
from scripts.benchmarks._results import ROOT, Results, arguments, run_task, show, spread

KEPT = ROOT / "outputs" / "cache" / "benchmarks" / "active"
PLACES = (100, 200, 300, 600)
REACHED = {f"to_{goal:.0%}".rstrip("%"): goal for goal in GOALS}
LABELS = range(20, 601, 10)
METHODS = (
    "least_confidence",
    "entropy",
    "variation_ratios",
    "bald",
    "batchbald",
    "coreset",
    "badge",
)
REPEATED = ("random", "margin", "bald", "batchbald", "badge", "coreset")
FEW = (100, 200)
CHOSEN = ("margin", "random")
VALIDATION = "data.validation_size=1000"  # not looked at; the rest is the pool


@dataclass(frozen=True)
class Case:
    """One method under one protocol.

    Attributes:
        name: of the row.
        overrides: of ``run.py``.
        seeds: how many.
    """

    name: str
    overrides: tuple[str, ...]
    seeds: int


def whole(seeds: int) -> list[Case]:
    """Return the two methods that are simulated to the end."""
    return [
        Case(name, (f"acquisition={name}", "until=600"), seeds) for name in ("margin", "random")
    ]


def shorter(seeds: int) -> Iterator[Case]:
    """Yield the other methods, and some where each image has copies in the pool."""
    for name in METHODS:
        yield Case(name, (f"acquisition={name}", "until=300"), seeds)
    for name in REPEATED:
        overrides = (f"acquisition={name}", "until=300", "copies=5")
        yield Case(f"repeated {name}", overrides, seeds)


def folder(overrides: Sequence[str], seed: int) -> Path:
    """Return where a simulation leaves what came out."""
    return KEPT / "runs" / f"{'-'.join(overrides).replace('=', '-')}-{seed}"


def simulated(overrides: Sequence[str], seed: int) -> dict[str, float]:
    """Simulate one curve, from where an earlier attempt was stopped, and return its figures."""
    left = folder(overrides, seed)
    places = [f"paths.root={KEPT}", f"paths.cache={ROOT}/outputs/cache", f"hydra.run.dir={left}"]
    command = [sys.executable, str(ROOT / "run.py"), *typed(overrides, seed), *places]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return row(Curve.model_validate_json((left / "curve.json").read_bytes()))


def typed(overrides: Sequence[str], seed: int) -> list[str]:
    """Return what is typed behind ``python run.py``."""
    return ["task=active", "data=mnist", VALIDATION, *overrides, f"seed={seed}"]


def row(curve: Curve) -> dict[str, float]:
    """Return a curve as the columns of the file."""
    reached = {name: curve.labels_to(goal) for name, goal in REACHED.items()}
    return {
        **{name: labels for name, labels in reached.items() if np.isfinite(labels)},
        "minutes": sum(each.seconds for each in curve.rounds) / 60,
        "cpu_minutes": sum(each.cpu_seconds for each in curve.rounds) / 60,
        **{str(labels): accuracy for labels, accuracy in curve.accuracies.items()},
    }


def measure_few(results: Results, labels: int, chosen: str, seed: int) -> None:
    """Train on few labels and all the images without; the seed also decides which have labels."""
    overrides = ["experiment=mnist_few_labels", f"data.train_size={labels}", f"seed={seed}"]
    by_margin = whole(1)[0].overrides
    if chosen == "random":
        which = f"data.split_seed={seed}"
    else:
        which = f"data.labelled={folder(by_margin, seed) / 'labelled.json'}"

    def trained(seed: int) -> Mapping[str, float]:
        if chosen != "random" and not (folder(by_margin, seed) / "labelled.json").is_file():
            simulated(by_margin, seed)
        metrics = run_task([*overrides, which])
        return {"accuracy": metrics["test/accuracy"], "minutes": metrics["fit/seconds"] / 60}

    results.measure(
        f"{labels} labels by {chosen}",
        seed,
        trained,
        command=f"python run.py {' '.join(overrides)} {which.replace(str(ROOT), '.')}",
        overrides=overrides,
    )


def main() -> None:
    """Measure what is missing, then print the tables."""
    options = arguments(__doc__, seeds=6, others=2, few=3)
    columns = [*REACHED, "minutes", "cpu_minutes", *map(str, LABELS)]
    curves = Results("active", columns, fresh=options.fresh)
    points = Results("few_labels", ["accuracy", "minutes"], fresh=options.fresh)
    both, others = whole(options.seeds), list(shorter(options.others))
    _measure(curves, [replace(case, seeds=min(case.seeds, options.few)) for case in both])
    for chosen, seed, labels in itertools.product(CHOSEN, range(options.few), FEW):
        measure_few(points, labels, chosen, seed)
    _measure(curves, others)
    _measure(curves, both)
    _tell(curves, [*both, *others], points)


def _measure(results: Results, wanted: Sequence[Case]) -> None:
    """Measure the cases seed by seed, so that each has some early."""
    for seed in range(max(case.seeds for case in wanted)):
        for case in wanted:
            if seed < case.seeds:
                line = typed(case.overrides, seed)
                results.measure(
                    case.name,
                    seed,
                    functools.partial(simulated, case.overrides),
                    command=f"python run.py {' '.join(line)}",
                    overrides=line,
                )


def _tell(curves: Results, measured: Sequence[Case], points: Results) -> None:
    header = ["method", "seeds", *(f"to {goal:.0%}" for goal in GOALS)]
    header += [*(f"at {place}" for place in PLACES), "CPU minutes"]
    rows = []
    for case in measured:
        minutes = curves.column(case.name, "cpu_minutes")
        if minutes:
            count = len(minutes)
            reached = [_median(curves.column(case.name, name), count) for name in REACHED]
            rows.append(
                [
                    case.name,
                    str(count),
                    *reached,
                    *(_accuracy(curves.column(case.name, str(place))) for place in PLACES),
                    f"{np.median(minutes):.1f}",
                ]
            )
    show("MNIST, labels to an accuracy: medians over seeds, batch 10, 20 to begin", header, rows)
    header = ["labels", "accuracy %", "minutes"]
    names = [f"{labels} labels by {chosen}" for chosen in CHOSEN for labels in FEW]
    rows = [
        [
            name,
            spread(points.column(name, "accuracy"), 100),
            spread(points.column(name, "minutes"), 1, 1),
        ]
        for name in names
    ]
    show("MNIST, unlabelled images used too, official test set, last epoch", header, rows)


def _median(labels: Sequence[float], count: int) -> str:
    """Return the median over all seeds; those that did not get there are above it."""
    padded = np.array([*labels, *[1e9] * (count - len(labels))])
    median = float(np.median(padded))
    return f"{median:.0f}" if median < 1e6 else "–"


def _accuracy(values: Sequence[float]) -> str:
    return f"{np.median(values):.2%}" if values else "–"


if __name__ == "__main__":
    main()
