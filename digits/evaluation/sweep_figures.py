"""Pictures of a sweep: what its trials reached, and with which budget."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from digits.evaluation.figures import ACCENT, FADED, INK, new_figure, save
from digits.evaluation.swept_figures import importance, parallel_coordinates
from digits.evaluation.trials import Results, Trial

IMPORTANCE_NEEDS = 8  # trials; a forest on fewer says nothing
WIDTH = 110  # characters of a line above a picture


def draw(results: Results, folder: Path) -> list[Path]:
    """Draw every picture that these results have something to show for.

    Returns:
        The PNGs written into ``folder``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ranked, keys = results.ranked(), results.keys
    drawn = []
    if any(trial.curve for trial in results.trials):
        drawn.append(budget(results, folder / "budget.png"))
    if len(ranked) > 1 and keys:
        drawn.append(parallel_coordinates(results, folder / "parallel_coordinates.png"))
    if len(ranked) >= IMPORTANCE_NEEDS and len(keys) > 1:
        drawn.append(importance(results, folder / "importance.png"))
    if len(results.metrics) > 1 and ranked:
        drawn.append(pareto(results, folder / "pareto.png"))
    return drawn


def budget(results: Results, file: Path) -> Path:
    """Draw the first metric against epochs done, one line per trial.

    Trials stopped early are faded and end in a cross; the best is highlighted and named.
    """
    figure = new_figure(8, 4.8)
    axes = figure.subplots()
    metric = results.metrics[0]
    best = next(iter(results.ranked()), None)
    drawn: list[float] = []
    for trial in sorted(results.trials, key=lambda trial: (trial is best, trial.status)):
        points = [(step, row[metric]) for step, row in trial.curve if metric in row]
        if not points:
            continue
        epochs, values = zip(*points, strict=True)
        drawn += values
        style = _style(trial, best)
        axes.plot(epochs, values, **style)
        end: dict[str, Any] = {
            "marker": "o" if trial.status == "finished" else "x",
            "markersize": 4,
        }
        axes.plot(epochs[-1], values[-1], color=style["color"], zorder=style["zorder"], **end)
    axes.set(xlabel="epochs", ylabel=metric)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(alpha=0.25)
    _scale(axes, metric, drawn, worst_is_low=results.modes[0] == "max")
    handles, labels = axes.get_legend_handles_labels()
    if labels:
        each = dict(zip(labels, handles, strict=True))
        axes.legend(each.values(), each.keys(), frameon=False, fontsize=8)
    figure.suptitle(f"{metric} against budget, {len(results.trials)} trials")
    if best is not None:
        named = ", ".join(f"{key}={value}" for key, value in best.overrides.items())
        told = textwrap.fill(f"best: job {best.number}  {named}", WIDTH)
        axes.set_title(told, fontsize=8, color=ACCENT)
    return save(figure, file)


def _style(trial: Trial, best: Trial | None) -> dict[str, Any]:
    if trial is best:
        return {"color": ACCENT, "linewidth": 2.4, "zorder": 4, "label": "best"}
    if trial.status == "finished":
        return {"color": INK, "linewidth": 1.2, "alpha": 0.8, "zorder": 3, "label": "finished"}
    if trial.status == "pruned":
        return {"color": FADED, "linewidth": 1.0, "zorder": 2, "label": "stopped early"}
    return {
        "color": FADED,
        "linewidth": 1.0,
        "linestyle": ":",
        "zorder": 2,
        "label": "failed or interrupted",
    }


def _scale(axes: Axes, metric: str, values: Sequence[float], *, worst_is_low: bool) -> None:
    """Leave out of view the worst tenth: a first epoch would press all the others together."""
    if metric.endswith("accuracy"):
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=1))
    finite = np.array([value for value in values if math.isfinite(value)])
    if len(finite) < 10:
        return
    low, high = np.quantile(finite, (0.1, 1) if worst_is_low else (0, 0.9))
    room = 0.06 * (high - low)
    if room > 0:
        axes.set_ylim(low - room, high + room)


def pareto(results: Results, file: Path) -> Path:
    """Draw the first metric against the second; what nothing surpasses in all of them is red."""
    ranked, front = results.ranked(), results.front()
    across, up = results.metrics[:2]
    figure = new_figure(6.4, 4.8)
    axes = figure.subplots()
    for trials, colour, label in (
        ([trial for trial in ranked if trial not in front], FADED, "surpassed by another"),
        (front, ACCENT, "Pareto front"),
    ):
        points = np.array([_point(trial) for trial in trials])
        if len(points):
            axes.scatter(points[:, 0], points[:, 1], color=colour, s=28, zorder=3, label=label)
    for index, trial in enumerate(front):
        axes.annotate(
            f"job {trial.number}",
            _point(trial),
            xytext=(6, 5 if index % 2 else -11),  # neighbours' names on different sides
            textcoords="offset points",
            fontsize=8,
        )
    axes.set(
        xlabel=f"{across} ({results.modes[0]})",
        ylabel=f"{up} ({results.modes[1]})",
        title=f"{len(front)} of {len(ranked)} trials are on the Pareto front",
    )
    for axis, name in ((axes.xaxis, across), (axes.yaxis, up)):
        if name.endswith("accuracy"):
            axis.set_major_formatter(PercentFormatter(1, decimals=1))
    axes.margins(0.1)
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, fontsize=8)
    return save(figure, file)


def _point(trial: Trial) -> tuple[float, float]:
    first, second, *_ = trial.values or ()
    return first, second
