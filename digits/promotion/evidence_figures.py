"""Pictures of a decision: what the challenger gains and loses, and what both withstand."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from digits.evaluation.figures import new_figure
from digits.evaluation.metrics import per_class
from digits.evaluation.page import inline
from digits.evaluation.theme import THEMES, Theme, themed
from digits.promotion.criteria import SHARE
from digits.promotion.evidence import Case
from digits.promotion.measured import Measured

WIDTH = 5.2  # inches: text of 9 points stays legible when a phone shrinks the picture


def pictures(case: Case) -> dict[str, dict[str, Markup]]:
    """Return name -> theme -> PNG as an address that holds it."""
    draw: dict[str, Callable[[Case, Theme], Figure]] = {}
    if case.champion is not None:
        draw["differences"] = differences
    draw |= {"robustness": robustness, "classes": classes}
    made: dict[str, dict[str, Markup]] = {name: {} for name in draw}
    for theme in THEMES:
        with themed(theme):
            for name, make in draw.items():
                content = io.BytesIO()
                FigureCanvasAgg(make(case, theme)).print_png(content)
                made[name][theme.name] = inline(content.getvalue())
    return made


def differences(case: Case, theme: Theme) -> Figure:
    """Challenger minus champion with its interval, beside what may be lost."""
    shown = [each for each in case.verdict.criteria if each.unit == SHARE and each.difference]
    figure = new_figure(WIDTH, 0.55 * len(shown) + 1.2)
    axes = figure.subplots()
    axes.axvline(0, color=theme.muted, linewidth=1)
    for place, criterion in enumerate(shown):
        difference = criterion.difference
        assert difference is not None
        # To the right is better, also where less is.
        sign = -1.0 if criterion.low_is_good else 1.0
        ends = sorted((sign * difference.low, sign * difference.high))
        colour = theme.ink if criterion.passed else theme.accent
        axes.plot(ends, [place, place], color=colour, linewidth=2.5, solid_capstyle="butt")
        axes.plot(sign * difference.value, place, "o", color=colour, markersize=7)
        if criterion.margin is not None:
            axes.plot([-criterion.margin] * 2, [place - 0.35, place + 0.35], ":", color=theme.text)
    axes.set_yticks(range(len(shown)), [each.name for each in shown])
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.set_title("Against the champion")
    axes.set_xlabel("← worse    difference    better →\n(dotted: the loss that is allowed)")
    _percent(axes, decimals=None)
    return figure


def robustness(case: Case, theme: Theme) -> Figure:
    """Accuracy under each corruption, the challenger's worst on top."""
    ours = case.challenger.measured.robustness
    names = sorted(ours, key=lambda name: ours[name])
    figure = new_figure(WIDTH, 0.32 * len(names) + 1.3)
    axes = figure.subplots()
    _dumbbells(axes, case, theme, lambda measured: [measured.robustness[name] for name in names])
    axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    axes.set_title("Under corruption")
    axes.set_xlim(0, 1.02)
    _finish(figure, axes)
    return figure


def classes(case: Case, theme: Theme) -> Figure:
    """Share of each digit that is read right."""

    def recalls(measured: Measured) -> list[float]:
        scores = per_class(measured.report().confusion)
        return [np.nan if score.recall is None else score.recall for score in scores]

    scores = per_class(case.challenger.measured.report().confusion)
    figure = new_figure(WIDTH, 0.32 * len(scores) + 1.3)
    axes = figure.subplots()
    _dumbbells(axes, case, theme, recalls)
    axes.set_yticks(range(len(scores)), [f"{each.label}  (n={each.count:,})" for each in scores])
    axes.set_title("Each digit")
    _finish(figure, axes)
    return figure


def _dumbbells(
    axes: Axes, case: Case, theme: Theme, values: Callable[[Measured], list[float]]
) -> None:
    """Draw a point per model and row, and what lies between two of them."""
    ours = values(case.challenger.measured)
    places = np.arange(len(ours))
    if case.champion is not None:
        theirs = values(case.champion.measured)
        for place, new, old in zip(places, ours, theirs, strict=True):
            colour = theme.accent if new < old else theme.ink
            axes.plot([new, old], [place, place], color=colour, linewidth=2, alpha=0.6)
        axes.plot(theirs, places, "o", color=theme.muted, markersize=7, label=case.champion.name)
    axes.plot(ours, places, "o", color=theme.ink, markersize=6, label=case.challenger.name)


def _finish(figure: Figure, axes: Axes) -> None:
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("share read right")
    _percent(axes, decimals=None)
    figure.legend(
        *axes.get_legend_handles_labels(), loc="outside lower right", ncols=2, frameon=False
    )


def _percent(axes: Axes, *, decimals: int | None) -> None:
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=decimals))
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
