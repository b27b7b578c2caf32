"""Methods beside each other over their seeds: labels to an accuracy, and the picture of it."""

from __future__ import annotations

import collections
import csv
import io
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from digits.active.rounds import Curve
from digits.contract.files import write_atomically
from digits.evaluation.figures import FADED, new_figure, save

GOALS = (0.90, 0.95, 0.98)
QUARTILES = (0.25, 0.5, 0.75)
PLACES = (50, 100, 200, 300, 600)  # labels that accuracies are told at
NEVER = 10**9  # labels that nobody has; infinity itself cannot be interpolated


@dataclass(frozen=True)
class Method:
    """One acquisition over its seeds.

    Attributes:
        name: of the acquisition; with the beginning of a digest where there are several of it.
        curves: one for each seed.
    """

    name: str
    curves: Sequence[Curve]

    def labels_to(self, accuracy: float) -> tuple[float, float, float]:
        """Return the quartiles of the labels to an accuracy; infinite where it is not reached."""
        labels = np.minimum([curve.labels_to(accuracy) for curve in self.curves], NEVER)
        first, middle, third = (
            float(value) if value < NEVER / 100 else np.inf
            for value in np.quantile(labels, QUARTILES)
        )
        return first, middle, third

    def accuracy_at(self, labels: int) -> float | None:
        """Return the median accuracy at so many labels; None where a seed has no such round."""
        found = [curve.accuracies.get(labels) for curve in self.curves]
        known = [accuracy for accuracy in found if accuracy is not None]
        return float(np.median(known)) if known and len(known) == len(found) else None

    def band(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the labels ``[R]`` that every seed has come to, and quartiles there ``[3, R]``."""
        shared = set.intersection(*(set(curve.accuracies) for curve in self.curves))
        labels = np.array(sorted(shared), np.int64)
        values = [[curve.accuracies[count] for count in labels.tolist()] for curve in self.curves]
        return labels, np.quantile(np.array(values, np.float64), QUARTILES, axis=0)


def methods(kept: Mapping[str, Sequence[Curve]]) -> list[Method]:
    """Name the curves of each method, ``<acquisition>-<digest of its settings>``, in that order."""
    names = collections.Counter(curves[0].acquisition for curves in kept.values())
    found = []
    for method, curves in sorted(kept.items()):
        name = curves[0].acquisition
        digest = method.rpartition("-")[2]
        found.append(Method(name if names[name] == 1 else f"{name} {digest[:6]}", list(curves)))
    return found


def figures(method: Method, places: Sequence[int]) -> Mapping[str, str]:
    """Return one row of the table: heading -> what stands below it."""
    row = {"method": method.name.replace("_", " "), "seeds": str(len(method.curves))}
    for goal in GOALS:
        row[f"to {goal:.0%}"] = _quartiles(method.labels_to(goal))
    for labels in places:
        accuracy = method.accuracy_at(labels)
        row[f"at {labels}"] = "–" if accuracy is None else f"{accuracy:.2%}"
    minutes = [sum(each.seconds for each in curve.rounds) / 60 for curve in method.curves]
    row["minutes"] = f"{np.median(minutes):.1f}"
    return row


def table(compared: Sequence[Method], file: Path, *, places: Sequence[int]) -> Path:
    """Write the rows of :func:`figures` as CSV, one for each method."""
    rows = [figures(method, places) for method in compared]
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(file, text.getvalue())
    return file


def _quartiles(values: tuple[float, float, float]) -> str:
    low, middle, high = (f"{value:.0f}" if np.isfinite(value) else "–" for value in values)
    return middle if low == middle == high else f"{middle} ({low} to {high})"


def draw(compared: Sequence[Method], file: Path, *, title: str) -> Path:
    """Draw the median accuracy of each method against labels, and its quartiles as a band."""
    figure = new_figure(8.5, 4.8)
    axes = figure.subplots()
    colours = colormaps["tab10"].colors  # type: ignore[attr-defined]
    for method, colour in zip(compared, itertools.cycle(colours), strict=False):
        labels, (low, middle, high) = method.band()
        count = len(method.curves)
        told = f"{method.name.replace('_', ' ')} ({count} seed{'s' if count > 1 else ''})"
        axes.plot(labels, 1 - middle, color=colour, label=told, marker="o", markersize=2)
        axes.fill_between(labels, 1 - low, 1 - high, color=colour, alpha=0.18, linewidth=0)
    _scale(axes)
    axes.set(xlabel="labels", ylabel="accuracy on the test split", title=title)
    axes.legend(frameon=False, loc="lower right")
    return save(figure, file)


def _scale(axes: Axes) -> None:
    """Give each halving of the errors the same height, with the accuracies that are goals."""
    axes.set_yscale("log")
    axes.invert_yaxis()
    ticks = [0.5, 0.2, *(1 - goal for goal in GOALS), 0.01, 0.005]
    low, high = sorted(axes.get_ylim())
    axes.set_yticks([tick for tick in ticks if low <= tick <= high])
    axes.set_yticks([], minor=True)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda error, _: f"{100 * (1 - error):.4g} %"))
    axes.grid(axis="y", color=FADED, alpha=0.5)
