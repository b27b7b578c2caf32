"""How far each method of `task=explain` can be trusted, on the default cnn, and how fast it is."""

from __future__ import annotations

import functools
import statistics
import time
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
from hydra import compose, initialize_config_dir

from digits.config import resolvers
from digits.config.instantiate import instantiate
from digits.data.types import Digits
from digits.evaluation.attribution_quality import INK, RANDOM, Judged, Quality, judge, sample
from digits.evaluation.classify import torch_classifier
from digits.evaluation.explainers import Explainer
from scripts.benchmarks._results import ROOT, Results, arguments, show, spread
from scripts.benchmarks._trained import trained

FIGURES = [field.name for field in fields(Quality) if field.name != "seconds"]
TRAINED = ["data=mnist"]
#: method -> seconds for 1,000 images that it may take
GOALS = {"saliency": 2, "integrated_gradients": 15}
IMAGES = 1000
#: heading -> figure, decimals
COLUMNS = {
    "deletion ↓": ("deletion", 2),
    "insertion ↑": ("insertion", 2),
    "infidelity ↓": ("infidelity", 2),
    "max-sensitivity ↓": ("max_sensitivity", 2),
    "completeness gap ↓": ("completeness_gap", 3),
    "like untrained ↓": ("similarity", 2),
    "the same on ink ↓": ("similarity_on_ink", 2),
}


def _composed(overrides: list[str]) -> Any:
    resolvers.register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return compose("config", ["task=explain", *overrides, "paths.output=."])


def explainers() -> dict[str, Explainer]:
    """Every method as it is configured."""
    return {
        name: instantiate(part) for name, part in _composed(["explainer=all"]).explainer.items()
    }


@functools.cache
def judged(digits: int, seed: int) -> Judged:
    """Train the network and judge every method on ``digits`` of the official test set."""
    network = trained([*TRAINED, f"seed={seed}"])
    data: Digits = instantiate(_composed(TRAINED).data).load()
    part = sample(data.test, digits, seed=seed)
    targets = torch_classifier(network)(part.images).argmax(1)
    return judge(network, explainers(), part.images, targets, seed=seed)


def quality(digits: int, method: str, seed: int) -> dict[str, float]:
    """Return the figures of one method; all of them are judged at once."""
    found: Mapping[str, float] = judged(digits, seed).qualities[method].metrics()
    return {name: found[name] for name in FIGURES if name in found}


def seconds(method: str, repeat: int) -> dict[str, float]:
    """Explain 1,000 images of noise: what they show makes no difference."""
    network = trained([*TRAINED, "seed=0"])
    random = np.random.default_rng(repeat)
    images = random.integers(0, 256, (IMAGES, 28, 28), np.uint8)
    targets = random.integers(0, 10, IMAGES)
    explainer = explainers()[method]
    explainer(network, images[:64], targets[:64])  # first calls load code
    begin = time.perf_counter()
    explainer(network, images, targets)
    return {"seconds": time.perf_counter() - begin}


def _cell(values: list[float], decimals: int) -> str:
    if not values:
        return "–"
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.{decimals}f} ± {deviation:.{decimals}f}"


def markdown(results: Results, methods: list[str]) -> str:
    """Return the table of the README."""
    lines = [f"| | {' | '.join(COLUMNS)} |", f"|---|{'---:|' * len(COLUMNS)}"]
    for method in methods:
        cells = [
            _cell(results.column(f"mnist {method}", name), decimals)
            for name, decimals in COLUMNS.values()
        ]
        lines.append(f"| {method.replace('_', ' ')} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure what is missing, then print the tables; ``--seeds 0`` measures the speed alone."""
    options = arguments(__doc__, seeds=3, digits=100, repeats=3)
    methods = list(explainers())
    times = Results("explanations_speed", ["seconds"], fresh=options.fresh)
    for repeat in range(options.repeats):
        for method in sorted(methods, key=lambda method: method not in GOALS):
            row = functools.partial(seconds, method)
            times.measure(method, repeat, row, command="scripts/bench explanations")
    results = Results("explanations", FIGURES, fresh=options.fresh)
    judges = [*methods, RANDOM, INK]
    for seed in range(options.seeds):
        for method in judges:
            results.measure(
                f"mnist {method}",
                seed,
                functools.partial(quality, options.digits, method),
                command=f"scripts/bench explanations --digits {options.digits}",
                overrides=[*TRAINED, f"seed={seed}"],
            )
    rows = [
        [
            method,
            f"≤ {GOALS[method]}" if method in GOALS else "",
            spread(times.column(method, "seconds")),
        ]
        for method in methods
    ]
    show(f"seconds for {IMAGES:,} images", ["", "goal", "mean ± sd (range)"], rows)
    print(f"\nDefault cnn on MNIST, {options.seeds} trainings, mean ± sd\n")
    print(markdown(results, judges))


if __name__ == "__main__":
    main()
