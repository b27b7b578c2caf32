"""Pictures of a training and of a classifier's answers; each is written as one PNG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import (
    LogLocator,
    MaxNLocator,
    NullFormatter,
    PercentFormatter,
    StrMethodFormatter,
)
from numpy.typing import NDArray

INK = "#1f3a5f"
ACCENT = "#d1495b"
PALE = "#e9edf2"
FADED = "#a9b4c2"
DPI = 120


def save(figure: Figure, file: Path) -> Path:
    """Write the figure as a PNG."""
    FigureCanvasAgg(figure).print_png(str(file))
    return file


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of this size in inches."""
    return Figure(figsize=(width, height), dpi=DPI, layout="constrained")


def curves(history: Sequence[Mapping[str, float]], file: Path) -> Path:
    """Draw loss and accuracy per epoch, training beside validation.

    Args:
        history: one mapping per epoch with ``train/loss``, ``train/accuracy`` and, where there is
            a validation split, ``validation/loss`` and ``validation/accuracy``.
        file: the PNG to write.
    """
    figure = new_figure(9, 3.6)
    epochs = np.arange(1, len(history) + 1)
    for axes, name in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for split, colour in (("train", INK), ("validation", ACCENT)):
            values = [row.get(f"{split}/{name}", np.nan) for row in history]
            if np.isfinite(values).any():
                axes.plot(epochs, values, color=colour, marker="o", markersize=3, label=split)
        axes.set(xlabel="epoch", title=name, xlim=(0.5, max(1, len(history)) + 0.5))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(alpha=0.25)
        if axes.lines:
            axes.legend(frameon=False)
        if name == "loss":
            axes.set_title("loss (nats)")
            _scale_losses(axes)
        else:
            axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=1))
    return save(figure, file)


def _scale_losses(axes: Axes) -> None:
    """Use a logarithmic axis, with plain numbers, for losses that span some range."""
    drawn = np.array([value for line in axes.lines for value in np.ravel(line.get_ydata())])
    if len(drawn) and np.nanmax(drawn) > 5 * np.nanmin(drawn) > 0:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())


def confusion_matrix(confusion: NDArray[np.int64], file: Path, *, title: str) -> Path:
    """Draw counts int64 ``[10, 10]`` (row = truth); mistakes coloured, right answers grey."""
    figure = new_figure(5.6, 5.2)
    axes = figure.subplots()
    mistakes = confusion.astype(float)
    np.fill_diagonal(mistakes, np.nan)
    most = max(1.0, float(np.nanmax(mistakes)))
    axes.imshow(mistakes, cmap=colormaps["Reds"].with_extremes(bad=PALE), vmin=0, vmax=most)
    for (row, column), count in np.ndenumerate(confusion):
        if count:
            dark = row != column and count > 0.6 * most
            colour = "white" if dark else "black"
            axes.text(column, row, str(count), ha="center", va="center", fontsize=8, color=colour)
    axes.set(xlabel="answer", ylabel="truth", title=title, xticks=range(10), yticks=range(10))
    return save(figure, file)


def worst_mistakes(
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    probabilities: NDArray[np.float64],
    file: Path,
    *,
    most: int = 24,
) -> Path:
    """Draw the wrong answers that were given with most confidence.

    Args:
        images: uint8 ``[N, 28, 28]``.
        labels: int64 ``[N]``.
        probabilities: float ``[N, 10]``.
        file: the PNG to write.
        most: how many at the most; fewer are drawn when fewer were made.
    """
    answers = probabilities.argmax(1)
    wrong = np.flatnonzero(answers != labels)
    order = wrong[np.argsort(-probabilities.max(1)[wrong], kind="stable")][:most]
    columns = 8
    rows = max(1, -(-len(order) // columns))
    figure = new_figure(9, 1.45 * rows + 0.5 if len(wrong) else 0.8)
    told = f"{len(wrong)} of {len(labels)} wrong, most confident first"
    figure.suptitle(told if len(wrong) else f"all {len(labels)} right")
    for axes in figure.subplots(rows, columns, squeeze=False).flat:
        axes.axis("off")
    for axes, index in zip(figure.axes, order, strict=False):
        axes.imshow(images[index], cmap="gray_r", vmin=0, vmax=255)
        text = f"{labels[index]} read as {answers[index]}\n{probabilities[index].max():.0%}"
        axes.set_title(text, fontsize=8, color=ACCENT)
    return save(figure, file)
