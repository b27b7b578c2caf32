"""Pictures of swept values: which ones the trials had, and which of them mattered."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, MaxNLocator
from numpy.typing import NDArray

from digits.evaluation.figures import ACCENT, FADED, INK, new_figure, save
from digits.evaluation.trials import Results, Trial

MOST_LABELS = 14  # names that can be read beside one axis
LONGEST = 18  # characters of a name
FEW = 6  # different numbers that stand side by side, as names do


class _Scale:
    """Where the values of one axis stand, 0 (bottom) to 1, and the ticks that say so.

    Names, and a few numbers, stand at equal distances; numbers over a decade on a logarithm; a
    measured axis is plainly proportional.
    """

    def __init__(self, texts: Sequence[str], *, measured: bool = False) -> None:
        numbers = [_number(text) for text in texts]
        known = [number for number in numbers if number is not None]
        self.is_logarithmic = False
        few = 1 if measured else FEW
        if len(known) < len(texts) or len(set(known)) <= few:
            order = sorted(set(texts), key=lambda text: (_number(text) or 0.0, text))
            self._place_names(texts, order)
        else:
            self._place_numbers(np.array(known), measured=measured)

    def _place_names(self, texts: Sequence[str], order: Sequence[str]) -> None:
        places = {name: _share(index, len(order)) for index, name in enumerate(order)}
        self.places = [places[text] for text in texts]
        every = -(-len(order) // MOST_LABELS)
        self.ticks = [(places[name], _shortened(name)) for name in order[::every]]

    def _place_numbers(self, numbers: NDArray[np.float64], *, measured: bool) -> None:
        low, high = numbers.min(), numbers.max()
        self.is_logarithmic = bool(not measured and low > 0 and high >= 10 * low)
        onto = np.log10 if self.is_logarithmic else np.positive
        span = onto(high) - onto(low)
        self.places = list((onto(numbers) - onto(low)) / span)
        locator = LogLocator(numticks=FEW) if self.is_logarithmic else MaxNLocator(FEW)
        within = [tick for tick in locator.tick_values(low, high) if low < tick < high]
        ticks = [((onto(tick) - onto(low)) / span, f"{tick:.4g}") for tick in within]
        near = [tick for tick in ticks if 0.05 < tick[0] < 0.95]
        self.ticks = [(0.0, f"{low:.4g}"), *near, (1.0, f"{high:.4g}")]


def _share(index: int, count: int) -> float:
    return index / (count - 1) if count > 1 else 0.5


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def parallel_coordinates(results: Results, file: Path) -> Path:
    """Draw each trial with a result as a line through its values, coloured by its rank."""
    ranked, keys, metric = results.ranked(), results.keys, results.metrics[0]
    scales = [_Scale([trial.overrides.get(key, "") for trial in ranked]) for key in keys]
    # Ten digits: a text that had to be shortened would be a number no longer.
    scales.append(_Scale([f"{(trial.values or ())[0]:.10g}" for trial in ranked], measured=True))
    figure = new_figure(max(5.5, 1.9 * len(scales) + 1), 4.8)
    axes = figure.subplots()
    colours = colormaps["viridis_r"](np.linspace(0.05, 0.95, len(ranked)))
    for index, line in reversed(list(enumerate(zip(*(s.places for s in scales), strict=True)))):
        if index == 0:
            axes.plot(line, color=ACCENT, linewidth=2.6, zorder=3)
        else:
            axes.plot(line, color=colours[-1 - index], linewidth=1.2, alpha=0.75, zorder=2)
    for place, (name, scale) in enumerate(zip([*keys, metric], scales, strict=True)):
        axes.axvline(place, color="black", linewidth=0.8, zorder=1)
        _name_ticks(axes, place, scale, percent=name.endswith("accuracy"))
    names = [
        f"{name} (log)" if scale.is_logarithmic else name
        for name, scale in zip([*keys, metric], scales, strict=True)
    ]
    axes.set_xticks(range(len(scales)), names, fontsize=9)
    axes.set(yticks=[], xlim=(-0.5, len(scales) - 0.5), ylim=(-0.06, 1.06))
    axes.set_title(f"{len(ranked)} trials, the better the darker; job {ranked[0].number} in red")
    axes.spines[:].set_visible(False)
    axes.tick_params(bottom=False)
    return save(figure, file)


def _name_ticks(axes: Axes, place: int, scale: _Scale, *, percent: bool) -> None:
    for height, text in scale.ticks:
        axes.annotate(
            f"{float(text):.2%}" if percent else text,
            (place, height),
            xytext=(-4 if place == 0 else 4, 0),
            textcoords="offset points",
            fontsize=8,
            ha="right" if place == 0 else "left",
            va="center",
            bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.5},
            zorder=5,
        )


def importance(results: Results, file: Path) -> Path:
    """Draw how much each swept value mattered to the first metric.

    A random forest is fitted to (swept values -> metric); the importance of a key is what the
    forest's R² loses when that key's values are shuffled among the trials.
    """
    from sklearn.ensemble import RandomForestRegressor  # it takes a second, and is rarely needed
    from sklearn.inspection import permutation_importance

    ranked, keys = results.ranked(), results.keys
    features = _features(ranked, keys)
    targets = np.array([(trial.values or ())[0] for trial in ranked])
    forest = RandomForestRegressor(200, oob_score=True, random_state=0).fit(features, targets)
    shuffled = permutation_importance(forest, features, targets, n_repeats=20, random_state=0)
    order = np.argsort(shuffled.importances_mean)
    figure = new_figure(7, 0.45 * len(keys) + 1.7)
    axes = figure.subplots()
    axes.barh(
        [keys[index] for index in order],
        shuffled.importances_mean[order],
        xerr=shuffled.importances_std[order],
        color=INK,
        error_kw={"ecolor": FADED},
    )
    axes.set_xlabel("R² lost when the key's values are shuffled (mean ± sd of 20)")
    explained = max(0.0, float(forest.oob_score_))
    figure.suptitle(f"What mattered to {results.metrics[0]}")
    axes.set_title(
        f"permutation importance in a random forest on {len(ranked)} trials;\n"
        f"on trials it has not seen the forest explains {explained:.0%} of the variance",
        fontsize=9,
    )
    axes.grid(axis="x", alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    return save(figure, file)


def _features(trials: Sequence[Trial], keys: Sequence[str]) -> NDArray[np.float64]:
    """Return float ``[trials, keys]``: where each value stands on its key's axis."""
    scales = [_Scale([trial.overrides.get(key, "") for trial in trials]) for key in keys]
    return np.array([scale.places for scale in scales]).T
