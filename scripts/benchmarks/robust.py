"""The robust recipe under 15 corruptions that it was not trained on: exported models, 3 seeds."""

from __future__ import annotations

import functools
import statistics
from collections.abc import Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir

from digits.config import resolvers
from digits.config.instantiate import instantiate
from digits.data.types import Split
from digits.evaluation.classify import onnx_classifier
from digits.evaluation.corruptions import CORRUPTIONS
from digits.evaluation.robustness import robustness
from scripts.benchmarks._results import (
    ROOT,
    Results,
    arguments,
    metrics_of,
    run_folder,
    show,
    spread,
)

CASE = "mnist_robust"
CORRUPTION_SEED = 0

#: family -> (the step of the recipe's augmentation that is of the same kind, "" for none; why).
#: What could pass for the same kind counts as seen.
KINSHIP: dict[str, tuple[str, str]] = {
    "shot_noise": ("noise", "pixel noise, of another distribution"),
    "impulse_noise": ("noise", "pixel noise, of another distribution"),
    "glass_blur": ("", "single pixels change places: no step does that"),
    "motion_blur": ("convolution", "a linear filter, one of those that are drawn"),
    "shear": ("affine", "the same"),
    "scale": ("affine", "the same"),
    "rotate": ("affine", "the same"),
    "brightness": ("light", "a lighter background"),
    "translate": ("affine", "the same"),
    "stripe": ("bands", "opposite polarity in a part of the image"),
    "fog": ("light", "a smooth bright surface and less contrast"),
    "spatter": ("", "blots: no step draws any"),
    "dotted_line": ("strokes", "a stray line, not dotted"),
    "zigzag": ("strokes", "a stray polyline, of other angles"),
    "canny_edges": ("convolution", "outlines, by linear filters without a threshold"),
}
UNSEEN = [name for name, (step, _) in KINSHIP.items() if not step]


def measured(overrides: Sequence[str], seed: int) -> dict[str, float]:
    """Train the recipe once, and judge what it exports."""
    with run_folder(overrides) as folder:
        return judged(folder, overrides)


def judged(folder: Path, overrides: Sequence[str]) -> dict[str, float]:
    """Ask the model that a run has exported about the test set, clean and spoilt in every way."""
    metrics = metrics_of(folder)
    classify = onnx_classifier(folder / "bundle" / "model.onnx")
    test = official_test(overrides)
    clean = float((classify(test.images).argmax(1) == test.labels).mean())
    accuracies = robustness(classify, test.images, test.labels, seed=CORRUPTION_SEED)
    fit = {"fit_seconds": metrics["fit/seconds"], "waiting": metrics["fit/waiting_share"]}
    return {"clean": clean, **accuracies, **fit}


def official_test(overrides: Sequence[str]) -> Split:
    """Return the 10,000 digits that MNIST sets apart."""
    resolvers.register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose(
            "config", [*overrides, "paths.output=.", f"paths.cache={ROOT}/outputs/cache"]
        )
    test: Split = instantiate(config.data).load().test
    return test


def table(results: Results) -> list[list[str]]:
    """Return a row for each family with its spread, then what they come to."""
    columns = {name: results.column(CASE, name) for name in ("clean", *CORRUPTIONS)}
    worst = min(CORRUPTIONS, key=lambda name: statistics.mean(columns[name]))
    rows = [
        [
            name.replace("_", " "),
            *KINSHIP.get(name, ("", "")),
            "≥ 99.5" if name == "clean" else "",
            spread(values, 100),
        ]
        for name, values in columns.items()
    ]

    def mean(names: Sequence[str]) -> str:
        per_seed = zip(*(columns[name] for name in names), strict=True)
        return spread([statistics.mean(values) for values in per_seed], 100)

    worst_name = f"worst: {worst.replace('_', ' ')}"
    unseen = f"mean of the {len(UNSEEN)} without a step of their kind"
    return [
        *rows,
        ["mean of 15", "", "", "≥ 97", mean(list(CORRUPTIONS))],
        [worst_name, "", "", "≥ 90", spread(columns[worst], 100)],
        [unseen, "", "", "", mean(UNSEEN)],
        ["seconds of fit", "", "", "", spread(results.column(CASE, "fit_seconds"), 1, 0)],
    ]


def main() -> None:
    """Measure what is missing, then print the table."""
    options = arguments(__doc__, seeds=3)
    columns = ["clean", *CORRUPTIONS, "fit_seconds", "waiting"]
    results = Results("robust", columns, fresh=options.fresh)
    for seed in range(options.seeds):
        typed = [f"experiment={CASE}", f"seed={seed}"]
        row = functools.partial(measured, typed)
        command = f"scripts/bench robust (python run.py {' '.join(typed)})"
        results.measure(CASE, seed, row, command=command, overrides=typed)
    header = ["digits", "step of the same kind", "why, or why none", "goal %", "accuracy %"]
    title = f"MNIST, official test set, last epoch, exported models, {options.seeds} seeds"
    show(title, header, table(results))


if __name__ == "__main__":
    main()
