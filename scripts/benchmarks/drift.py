"""Drift on MNIST: false alarms, detection of 15 unseen corruptions, accuracy with few labels."""

from __future__ import annotations

import functools
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from digits.contract.manifest import verify
from digits.data.types import Split
from digits.evaluation.corruptions import CORRUPTIONS, corrupt
from digits.monitoring.accuracy import Judged
from digits.monitoring.monitor import Monitor
from digits.monitoring.reference import gather, judged
from digits.monitoring.signals import Observer
from scripts.benchmarks._results import Results, arguments, show, spread
from scripts.benchmarks._trained import trained_bundle
from scripts.benchmarks.robust import official_test

OVERRIDES = ["data=mnist"]
BUDGET = 0.02  # the default of `task=drift`
#: column -> (share of a window that is corrupted, images of a window)
CELLS = {"half_50": (0.5, 50), "half_100": (0.5, 100), "tenth_200": (0.1, 200)}
CLEAN = "clean"
REPEATS = 50  # of a cell in each split
CLEAN_REPEATS = 500
ESTIMATED, LABELS = 1000, 50  # images of a window whose accuracy is estimated, and labels of them
KS_REFERENCE, KS_ALPHA = 1000, 0.05
VALUES = [
    *CELLS, *(f"softmax_ks_{name}" for name in CELLS),
    "accuracy", "error_confidence", "error_no_labels", "error_50_labels", "within_3_points",
    "covered_no_labels", "covered_50_labels", "signed_50_labels",
]  # fmt: skip


@dataclass(frozen=True)
class Setting:
    """One cut of the test set: a half is the reference, windows are drawn from the other."""

    monitor: Monitor
    reference: Judged
    clean: Judged
    other: NDArray[np.intp]


class Bench:
    """The model, the test set in every state, and the cuts that were made of it."""

    def __init__(self) -> None:
        bundle: Path = trained_bundle(OVERRIDES)
        self._observe = Observer(bundle, verify(bundle))
        self._test: Split = official_test(OVERRIDES)

    @functools.cache  # noqa: B019 - there is one bench
    def asked(self, family: str) -> Judged:
        """Return the answers to the whole test set, spoilt by a family or clean."""
        images = self._test.images
        spoilt = images if family == CLEAN else corrupt(family, images, seed=0)
        return judged(self._observe, spoilt, self._test.labels)

    @functools.cache  # noqa: B019 - there is one bench
    def setting(self, split: int) -> Setting:
        """Cut the test set and calibrate on one half."""
        order = np.random.default_rng([1, split]).permutation(len(self._test))
        mine, other = np.sort(order[: len(order) // 2]), np.sort(order[len(order) // 2 :])
        reference = gather(self._observe, self._test.take(mine), seed=split)
        clean = _taken(self.asked(CLEAN), other)
        return Setting(reference.monitor(seed=split), reference.clean, clean, other)

    def measured(self, family: str, split: int) -> Mapping[str, float]:
        """Measure one row."""
        setting = self.setting(split)
        spoilt = _taken(self.asked(family), setting.other)
        random = np.random.default_rng([2, split, *family.encode()])
        return {
            **_detected(setting, spoilt, random, REPEATS if family != CLEAN else CLEAN_REPEATS),
            **_estimated(setting.monitor, spoilt, random),
        }


def _detected(
    setting: Setting, spoilt: Judged, random: np.random.Generator, repeats: int
) -> dict[str, float]:
    """Return the share of windows that alarm, ours and by a KS test on the softmax alone."""
    monitor = setting.monitor
    coded, foul = (monitor.coding.code(each.signals) for each in (setting.clean, spoilt))
    known = setting.reference.signals.probabilities[:KS_REFERENCE]
    found = {}
    for name, (share, count) in CELLS.items():
        means, alarms = [], 0
        for _ in range(repeats):
            drawn = random.choice(len(coded), count, replace=False)
            first, rest = np.split(drawn, [round(share * count)])
            means.append(np.concatenate([foul[first], coded[rest]]).mean(0, dtype=np.float64))
            answers = [
                spoilt.signals.probabilities[first],
                setting.clean.signals.probabilities[rest],
            ]
            alarms += _softmax_ks(known, np.concatenate(answers))
        found[name] = float((monitor.chances(np.stack(means), count) <= BUDGET).mean())
        found[f"softmax_ks_{name}"] = alarms / repeats
    return found


def _softmax_ks(known: NDArray[np.float32], seen: NDArray[np.float32]) -> bool:
    """Rabanser et al. 2019 (BBSDs): a KS test for each class, by Bonferroni."""
    chances = [
        ks_2samp(known[:, digit], seen[:, digit], method="asymp").pvalue
        for digit in range(known.shape[1])
    ]
    return bool(min(chances) <= KS_ALPHA / len(chances))


def _estimated(monitor: Monitor, spoilt: Judged, random: np.random.Generator) -> dict[str, float]:
    """Return how far estimates of the accuracy of whole windows are off, in 0..1."""
    errors: dict[str, list[float]] = {name: [] for name in VALUES[2 * len(CELLS) + 1 :]}
    for repeat in range(REPEATS):
        window = _taken(spoilt, random.choice(len(spoilt.right), ESTIMATED, replace=False))
        truth = float(window.right.mean())
        chosen = monitor.trust.to_label(window.signals, LABELS, seed=repeat)
        blind = monitor.trust.estimate(window.signals)
        told = monitor.trust.estimate(window.signals, chosen, window.right[chosen])
        confidence = float(window.signals.probabilities.max(1).mean())
        for name, value in {
            "error_confidence": abs(confidence - truth),
            "error_no_labels": abs(blind.accuracy - truth),
            "error_50_labels": abs(told.accuracy - truth),
            "within_3_points": float(abs(told.accuracy - truth) <= 0.03),
            "covered_no_labels": float(blind.low <= truth <= blind.high),
            "covered_50_labels": float(told.low <= truth <= told.high),
            "signed_50_labels": told.accuracy - truth,
        }.items():
            errors[name].append(value)
    means = {name: statistics.mean(values) for name, values in errors.items()}
    return {"accuracy": float(spoilt.right.mean()), **means}


def _taken(answers: Judged, chosen: NDArray[np.intp]) -> Judged:
    return Judged(answers.signals.take(chosen), answers.right[chosen])


def table(results: Results) -> list[list[str]]:
    """Return a row for each family, then what they come to."""

    def mean(family: str, name: str) -> float:
        return 100 * statistics.mean(results.column(family, name))

    shown = [*CELLS, "accuracy", "error_confidence", "error_no_labels", "error_50_labels"]
    shown += ["signed_50_labels"]
    rows = [
        [family.replace("_", " "), *(f"{mean(family, name):.1f}" for name in shown)]
        for family in (CLEAN, *CORRUPTIONS)
    ]
    for title, prefix in (("mean of 15", ""), ("softmax KS alone", "softmax_ks_")):
        cells = [statistics.mean(mean(one, prefix + name) for one in CORRUPTIONS) for name in CELLS]
        rest = [statistics.mean(mean(one, name) for one in CORRUPTIONS) for name in shown[3:]]
        rows.append([title, *(f"{each:.1f}" for each in cells + ([] if prefix else rest))])
    alarms = [spread(results.column(CLEAN, f"softmax_ks_{name}"), 100, 1) for name in CELLS]
    return [*rows, ["softmax KS, clean", *alarms]]


def main() -> None:
    """Measure what is missing, then print the table."""
    options = arguments(__doc__, splits=2)
    results = Results("drift", VALUES, fresh=options.fresh)
    bench = Bench()
    for split in range(options.splits):
        for family in (CLEAN, *CORRUPTIONS):
            if results.lacks(family, split):
                row = functools.partial(bench.measured, family)
                results.measure(family, split, row, command="scripts/bench drift")
    header = [
        "windows of", "half, n=50", "half, n=100", "a tenth, n=200", "accuracy %",
        "off by confidence", "off without labels", "off with 50 labels", "the same, signed",
    ]  # fmt: skip
    title = f"Share of windows that alarm, and error of the accuracy, %; {options.splits} cuts"
    show(title, header, table(results))


if __name__ == "__main__":
    main()
