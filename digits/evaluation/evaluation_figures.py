"""Pictures of one evaluation, narrow enough for a phone; each is one PNG in each theme."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from matplotlib.patches import Rectangle
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from digits.evaluation.calibration import BINS, Reliability
from digits.evaluation.corruptions import corrupt
from digits.evaluation.evaluation import Evaluation
from digits.evaluation.figures import new_figure, save
from digits.evaluation.theme import THEMES, Theme, themed

WIDTH = 5.2  # inches: text of 9 points stays legible when a phone shrinks the picture

Draw: TypeAlias = Callable[[Evaluation, Theme], Figure]


def draw(evaluation: Evaluation, folder: Path, *, seed: int) -> dict[str, dict[str, Path]]:
    """Draw every picture of an evaluation into ``folder``, the dark ones into ``dark/``.

    ``seed`` is that of the corruptions. Returns name -> theme -> PNG.
    """
    pictures: Mapping[str, Draw] = {
        "reliability": reliability_diagram,
        "abstention": abstention_curve,
        "confusion": confusion,
        "classes": classes,
        "robustness": lambda evaluation, theme: robustness(evaluation, theme, seed=seed),
        "shifts": shifts,
    }
    made: dict[str, dict[str, Path]] = {name: {} for name in pictures}
    for theme in THEMES:
        place = folder if theme is THEMES[0] else folder / theme.name
        place.mkdir(parents=True, exist_ok=True)
        with themed(theme):
            for name, make in pictures.items():
                made[name][theme.name] = save(make(evaluation, theme), place / f"{name}.png")
    return made


def reliability_diagram(evaluation: Evaluation, theme: Theme) -> Figure:
    """Accuracy against confidence before and after calibration, over where the answers lie.

    The more answers a bin has, the larger its mark.
    """
    figure = new_figure(WIDTH, 4.6)
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    axes.plot([0, 1], [0, 1], color=theme.muted, linewidth=1, linestyle="--")
    before, after = evaluation.raw_reliability, evaluation.reliability
    series: list[tuple[str, Reliability, str]] = [("as trained", before, theme.muted)]
    if evaluation.temperature is not None:
        told = f"divided by {evaluation.temperature:.2f}"
        series = [("as trained", before, theme.accent), (told, after, theme.ink)]
    for name, each, colour in series:
        label = f"{name}: error {each.error:.2%}"
        shares = each.counts / each.counts.sum()
        axes.plot(each.confidence, each.accuracy, color=colour, linewidth=1, alpha=0.5)
        area = 10 + 70 * np.sqrt(shares)  # a bin of one digit proves little, and is drawn small
        axes.scatter(each.confidence, each.accuracy, s=area, color=colour, label=label)
        edges = np.arange(BINS + 1) / BINS
        below.stairs(shares, edges, color=colour, fill=each is after, alpha=0.7)
    axes.set(title="Reliability", ylabel="share right", ylim=(-0.02, 1.02), xlim=(0, 1))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="lower right")
    below.set(xlabel="confidence", ylabel="answers", ylim=(0, 1))
    below.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    below.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    return figure


def abstention_curve(evaluation: Evaluation, theme: Theme) -> Figure:
    """Error of the answers that are given against the share that is answered."""
    figure = new_figure(WIDTH, 3.8)
    axes = figure.subplots()
    curve = evaluation.abstention
    errors = 1 - curve.accuracy
    axes.step(curve.coverage, errors, where="post", color=theme.ink)
    axes.fill_between(curve.coverage, errors, step="post", color=theme.ink, alpha=0.15)
    axes.set(
        title="Abstention: answering only when sure",
        xlabel="share answered, the most confident first",
        ylabel="wrong answers",
        xlim=(0, 1.01),
        ylim=(0, max(0.001, 1.1 * float(errors.max()))),
    )
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.grid(alpha=0.3)
    reached = curve.reaching(1.0)
    if reached is not None:
        share, threshold = reached
        axes.axvline(share, color=theme.accent, linewidth=1, linestyle="--")
        told = f"none wrong in the {share:.1%}\nof at least {threshold:.1%} confidence"
        axes.annotate(
            told, (share, 0.94), xycoords=("data", "axes fraction"), xytext=(-6, 0),
            textcoords="offset points", ha="right", va="top", color=theme.accent,
        )  # fmt: skip
    return figure


def confusion(evaluation: Evaluation, theme: Theme) -> Figure:
    """Counts by truth and answer; mistakes coloured, right answers on a quiet diagonal."""
    figure = new_figure(WIDTH, 4.9)
    axes = figure.subplots()
    counts = evaluation.first.report.confusion
    mistakes = counts.astype(float)
    mistakes[mistakes == 0] = np.nan
    np.fill_diagonal(mistakes, np.nan)
    most = float(np.nanmax(mistakes, initial=5.0))  # one mistake alone is no alarm
    ramp = colormaps[theme.ramp].with_extremes(bad=theme.paper)
    axes.imshow(mistakes, cmap=ramp, vmin=0, vmax=most)
    for (row, column), count in np.ndenumerate(counts):
        colour = theme.text
        if row == column:
            axes.add_patch(Rectangle((row - 0.5, row - 0.5), 1, 1, color=theme.pale))
        elif count:
            red, green, blue, _ = ramp(count / most)
            colour = "black" if 0.3 * red + 0.6 * green + 0.1 * blue > 0.55 else "white"
        if count:
            axes.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=8.5)
    axes.set(title="Confusion", xlabel="answer", ylabel="truth")
    axes.set(xticks=range(10), yticks=range(10))
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure


def classes(evaluation: Evaluation, theme: Theme) -> Figure:
    """Precision and recall of each class, on an axis that begins below the worst of them."""
    figure = new_figure(WIDTH, 4.2)
    axes = figure.subplots()
    scores = evaluation.classes
    places = np.arange(len(scores))
    values = np.array([[s.precision, s.recall] for s in scores], dtype=float)
    known = values[np.isfinite(values)]
    low = max(0.0, np.floor(20 * float(known.min())) / 20 - 0.05) if len(known) else 0.0
    for index, (name, colour) in enumerate((("precision", theme.muted), ("recall", theme.ink))):
        column = values[:, index]
        spot = places + (0.2 if index else -0.2)
        axes.barh(spot, column - low, 0.36, left=low, color=colour, label=name)
    for place, score in enumerate(scores):
        if score.count == 0:
            axes.text(low, place, "  none in this data", va="center", fontsize=8.5)
    axes.set(title="Each digit", yticks=places, xlim=(low, 1.0))
    axes.set_yticklabels([f"{score.label}  (n={score.count:,})" for score in scores])
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.grid(axis="x", alpha=0.3)
    figure.legend(
        *axes.get_legend_handles_labels(), loc="outside lower right", ncols=2, frameon=False
    )
    return figure


def robustness(evaluation: Evaluation, theme: Theme, *, seed: int) -> Figure:
    """Accuracy under each corruption, the worst on top, with what it does to one digit."""
    held = sorted(evaluation.robustness.items(), key=lambda item: item[1])
    figure = new_figure(WIDTH, 0.42 * len(held) + 1.0)
    axes = figure.subplots()
    clean = evaluation.first.report.accuracy
    places = range(len(held))
    shares = [accuracy for _, accuracy in held]
    colours = [theme.accent if place == 0 else theme.ink for place in places]
    axes.barh(places, shares, 0.7, color=colours)
    axes.axvline(clean, color=theme.text, linewidth=1, linestyle="--")
    sample = evaluation.test.images[:1]
    for place, (name, accuracy) in zip(places, held, strict=True):
        image = OffsetImage(corrupt(name, sample, seed=seed)[0], zoom=0.85, cmap=theme.digits)
        box = AnnotationBbox(
            image, (0, place), xycoords=("axes fraction", "data"), box_alignment=(1, 0.5),
            xybox=(-6, 0), boxcoords="offset points", frameon=False, pad=0,
        )  # fmt: skip
        axes.add_artist(box)
        inside = accuracy > 0.25
        axes.text(
            accuracy, place, f" {accuracy:.1%} ", va="center", fontsize=8.5,
            ha="right" if inside else "left", color=theme.paper if inside else theme.text,
        )  # fmt: skip
    axes.set_yticks(places, [name.replace("_", " ") for name, _ in held])
    axes.tick_params(axis="y", length=0, pad=34)
    axes.invert_yaxis()
    axes.set(xlim=(0, 1.0), title=f"15 corruptions: mean {evaluation.mean_robustness:.1%}")
    axes.set_xlabel(f"share right (dashed: {clean:.1%} on the clean digits)")
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    return figure


def shifts(evaluation: Evaluation, theme: Theme) -> Figure:
    """Share of the answers that stay, for each direction of a shift by one pixel."""
    figure = new_figure(WIDTH, 4.2)
    axes = figure.subplots()
    kept: NDArray[np.float64] = np.full((3, 3), np.nan)
    for (down, right), share in evaluation.stability.kept.items():
        kept[down + 1, right + 1] = 1 - share
    most = max(0.01, float(np.nanmax(kept)))
    ramp = colormaps[theme.ramp].with_extremes(bad=theme.paper)
    axes.imshow(kept, cmap=ramp, vmin=0, vmax=2 * most)
    axes.imshow(evaluation.test.images[0], cmap=theme.digits, extent=(0.6, 1.4, 1.4, 0.6), zorder=2)
    axes.set(xlim=(-0.5, 2.5), ylim=(2.5, -0.5), xticks=[], yticks=[])
    for (row, column), changed in np.ndenumerate(kept):
        if np.isfinite(changed):
            red, green, blue, _ = ramp(changed / (2 * most))
            light = 0.3 * red + 0.6 * green + 0.1 * blue > 0.55
            told = f"{1 - changed:.2%}"
            axes.text(
                column, row, told, ha="center", va="center", color="black" if light else "white"
            )
    stable = evaluation.stability.stable
    axes.set_title(f"One pixel aside: {stable:.2%} never change")
    axes.set_xlabel("share of answers that stay, by direction of the shift")
    axes.spines[:].set_visible(False)
    return figure
