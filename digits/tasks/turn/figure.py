"""The picture of a turn: how many digits were read right, while things happened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from digits.evaluation.figures import ACCENT, FADED, INK, PALE, new_figure, save
from digits.tasks.turn.state import State, Step
from digits.tasks.turn.visitors import Visit

WINDOW = 50  # answers that one point of the line stands for
FEW = 10  # the first ones say little
SHIFTED = "before"  # the step after which the corruption sets in
TOLD = {
    "detect": "drift seen",
    "label": "labelled",
    "retrain": "trained",
    "judge": "judged",
    "promote": "promoted",
}


def timeline(state: State, visits: Sequence[Visit], labels: NDArray[np.int64], file: Path) -> Path:
    """Draw the share of right answers against the number of requests, with what happened when.

    Args:
        state: of a turn whose steps are done.
        visits: in the order of the answers.
        labels: int64 ``[N]``, by the index of a visit.
        file: the PNG to write.
    """
    figure = new_figure(10, 4.6)
    axes = figure.subplots()
    right = np.array([labels[each.index] == each.digit for each in visits], np.float64)
    times = np.array([each.time for each in visits])
    versions = [each.version for each in visits]
    for colour, version in zip((INK, ACCENT, FADED), dict.fromkeys(versions), strict=False):
        mine = np.flatnonzero(np.array(versions) == version)
        mean = _rolling(right[mine])
        axes.plot(mine[FEW:] + 1, mean[FEW:], color=colour, label=version)
    _shade(axes, state, times)
    for step in state.steps:
        if step.name in TOLD:
            _mark(axes, step, times)
    axes.set(
        xlabel="requests",
        ylabel=f"read right, of the last {WINDOW}",
        ylim=(0, 1.12),
        xlim=(0, max(2, len(visits))),
    )
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, loc="lower left")
    return save(figure, file)


def _rolling(right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean of each value and up to ``WINDOW`` - 1 before it."""
    total = np.concatenate([[0.0], np.cumsum(right)])
    ends = np.arange(1, len(right) + 1)
    starts = np.maximum(0, ends - WINDOW)
    mean: NDArray[np.float64] = (total[ends] - total[starts]) / (ends - starts)
    return mean


def _shade(axes: Axes, state: State, times: NDArray[np.float64]) -> None:
    ends = [step.ended for step in state.steps if step.name == SHIFTED]
    if ends:
        first = int(np.searchsorted(times, ends[0]))
        axes.axvspan(first, len(times), color=PALE, zorder=0)
        axes.annotate("corruption", (first + 2, 0.02), fontsize=8, color=INK)


def _mark(axes: Axes, step: Step, times: NDArray[np.float64]) -> None:
    place = int(np.searchsorted(times, step.ended))
    height = 1.02 + 0.025 * (list(TOLD).index(step.name) % 4)
    axes.axvline(place, color=INK, linewidth=0.8, linestyle=":")
    axes.annotate(TOLD[step.name], (place + 1, height), fontsize=7, color=INK)


def facts_of(state: State) -> Mapping[str, float]:
    """Return the numbers that a turn comes down to."""
    found: dict[str, float] = {}
    for name, key in (("before", "before"), ("detect", "under_shift"), ("after", "recovered")):
        facts = state.facts(name)
        if "accuracy" in facts:
            found[f"loop/accuracy_{key}"] = facts["accuracy"]
    sent = [step.facts for step in state.steps if "requests" in step.facts]
    found["loop/requests"] = sum(facts["requests"] for facts in sent)
    found["loop/requests_failed"] = sum(facts["failed"] for facts in sent)
    found["loop/labels"] = state.facts("label").get("labels", 0)
    return found
