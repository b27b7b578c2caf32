"""Pictures of a window beside its reference, and of all windows so far."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from digits.contract.drift_history import Watched
from digits.evaluation.contact_sheet import COLUMNS, Strip, contact_sheet
from digits.evaluation.figures import new_figure, save
from digits.evaluation.theme import LIGHT, themed
from digits.monitoring.monitor import Finding, Monitor
from digits.monitoring.signals import Signals

STRANGEST = 2 * COLUMNS
COLOURS = {"steady": "ink", "shifted": "text", "harmful": "accent", "unknown": "muted"}


def draw_window(
    monitor: Monitor, finding: Finding, signals: Signals, file: Path, *, false_alarms: float
) -> Path:
    """Draw how strange its images are, and how unlikely each signal is by chance."""
    with themed(LIGHT) as theme:
        figure = new_figure(9, 3.8)
        left, right = figure.subplots(1, 2, width_ratios=(3, 4))
        known, seen = monitor.trust.strangeness.known, monitor.trust.strangeness(signals)
        bins = np.linspace(0, max(known[-1], seen.max()) + 0.1, 40)
        for values, colour, name in (
            (known, theme.muted, "reference"),
            (seen, theme.accent, "window"),
        ):
            weights = np.full(len(values), 1 / len(values))
            left.hist(values, bins, weights=weights, color=colour, alpha=0.65, label=name)
        left.set(title="How strange the images are", xlabel="strangeness", ylabel="share of images")
        left.legend(frameon=False)
        names = sorted(finding.shares, key=lambda name: finding.shares[name], reverse=True)
        strength = [-np.log10(finding.shares[name]) for name in names]
        loud = [finding.shares[name] <= false_alarms for name in names]
        right.barh(
            [name.replace("_", " ") for name in names],
            strength,
            color=[theme.accent if each else theme.ink for each in loud],
        )
        right.axvline(-np.log10(false_alarms), color=theme.text, linestyle=":")
        right.set(title="How rare each signal is by chance", xlabel="1 in 10 to the power of")
        return save(figure, file)


def draw_strangest(
    monitor: Monitor, signals: Signals, images: NDArray[np.uint8], file: Path
) -> Path:
    """Draw the strangest images of a window, with what the model answered."""
    order = np.argsort(-monitor.trust.strangeness(signals), kind="stable")[:STRANGEST]
    answers, sure = signals.probabilities.argmax(1), signals.probabilities.max(1)
    strip = Strip(
        "the strangest first; the answer and its confidence",
        [images[place] for place in order],
        [f"{answers[place]} ({sure[place]:.0%})" for place in order],
    )
    return contact_sheet([strip], file, title="What is unlike the reference")


def draw_history(history: Sequence[Watched], file: Path) -> Path:
    """Draw the estimated accuracy of every window, one or more, and the share that is foreign."""
    with themed(LIGHT) as theme:
        figure = new_figure(9, 4.6)
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        for place, each in enumerate(history):
            if each.accuracy is None or each.low is None or each.high is None:
                continue
            colour = getattr(theme, COLOURS[each.status])
            upper.plot([place, place], [each.low, each.high], color=colour, linewidth=2)
            upper.plot(place, each.accuracy, "o", color=colour, markersize=6)
            lower.plot(place, each.foreign_share, "o", color=colour, markersize=6)
        before = [each.before for each in history if each.before is not None]
        if before:
            upper.axhline(before[-1], color=theme.muted, linestyle=":", label="on the reference")
            upper.legend(frameon=False, loc="lower left")
        upper.set(title="Estimated accuracy of each window, 95 % interval")
        lower.set(title="Share of images unlike the reference", ylim=(-0.03, 1.03))
        for axes in (upper, lower):
            axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
            axes.grid(alpha=0.25)
        named = np.unique(np.linspace(0, len(history) - 1, min(6, len(history))).astype(int))
        lower.set_xticks(named, [_time(history[place]) for place in named])
        lower.set_xlim(-0.5, len(history) - 0.5)
        return save(figure, file)


def _time(found: Watched) -> str:
    moment = datetime.fromtimestamp(found.last or found.time, UTC)
    return f"{moment:%Y-%m-%d}\n{moment:%H:%M:%S}"
