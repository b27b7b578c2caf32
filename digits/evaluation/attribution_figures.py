"""Pictures of attribution maps and of how they fared; each is written as one PNG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from digits.evaluation.figures import FADED, INK, PALE, new_figure, save
from digits.evaluation.removal import Curves

MOST_ROWS = 16
LEGEND = "red speaks for the explained class, blue against it; every map has a scale of its own"
# One outlying pixel would leave the rest of a map pale.
FULL_COLOUR = 99.5  # percentile of a map's magnitudes

COLOURS = [f"C{number}" for number in (1, 2, 3, 4, 5, 6, 8, 9)]  # grey is for the controls
WHAT = {"deletion": "deleted", "insertion": "inserted"}
STYLES = ("-", "--")  # the second one where the colours do not suffice


def gallery(
    images: NDArray[np.uint8],
    captions: Sequence[str],
    maps: Mapping[str, NDArray[np.float32]],
    file: Path,
    *,
    title: str,
) -> Path:
    """Draw each image with its maps beside it: red speaks for the explained class, blue against.

    Every map has a scale of its own, since the methods' units differ. A map that is all zero, or
    not finite, is left grey and says so.

    Args:
        images: uint8 ``[N, 28, 28]``, N at least 1; at most 16 are drawn.
        captions: a line or two for each.
        maps: method -> float32 ``[N, 28, 28]``.
        file: the PNG to write.
        title: above all.
    """
    rows = min(len(images), MOST_ROWS)
    if rows < len(images):
        title = f"{title} (the first {rows} of {len(images)})"
    figure = new_figure(max(6.0, 1.3 * (1 + len(maps)) + 1.2), 1.35 * rows + 0.9)
    figure.suptitle(f"{title}\n{LEGEND}", fontsize=9)
    grid = figure.subplots(rows, 1 + len(maps), squeeze=False)
    for row, (cells, image) in enumerate(zip(grid, images, strict=False)):
        cells[0].imshow(image, cmap="gray_r", vmin=0, vmax=255)
        cells[0].set_ylabel(
            captions[row], fontsize=8, rotation=0, ha="right", va="center", labelpad=6
        )
        for axes, (name, found) in zip(cells[1:], maps.items(), strict=True):
            _draw_map(axes, found[row], image)
            if row == 0:
                axes.set_title(fill(_label(name), 10), fontsize=8)
        for axes in cells:
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_color(FADED)
    return save(figure, file)


def _draw_map(axes: Axes, values: NDArray[np.float32], image: NDArray[np.uint8]) -> None:
    """Draw one map with the digit's outline."""
    fault = "not finite" if not np.isfinite(values).all() else "" if values.any() else "all zero"
    if fault:
        axes.set_facecolor(PALE)
        axes.text(0.5, 0.5, fault, ha="center", va="center", fontsize=8, transform=axes.transAxes)
        axes.set_aspect("equal")
        axes.set(xlim=(-0.5, image.shape[1] - 0.5), ylim=(image.shape[0] - 0.5, -0.5))
        return
    sizes = np.abs(values)
    full = float(np.percentile(sizes, FULL_COLOUR)) or float(sizes.max())
    axes.imshow(values, cmap=colormaps["RdBu_r"], vmin=-full, vmax=full)
    if image.min() < image.max():
        middle = (float(image.min()) + float(image.max())) / 2
        axes.contour(image, levels=[middle], colors="black", linewidths=0.5, alpha=0.6)


def _label(name: str) -> str:
    return name.replace("_", " ")


def removal_curves(found: Mapping[str, Curves], controls: Sequence[str], file: Path) -> Path:
    """Draw deletion and insertion, a line for each method; controls are grey.

    Args:
        found: method or control -> its curves.
        controls: which of them are controls.
        file: the PNG to write.
    """
    figure = new_figure(10, 4.2)
    colours = [INK, *COLOURS]
    methods = [name for name in found if name not in controls]
    for axes, kind in zip(figure.subplots(1, 2), ("deletion", "insertion"), strict=True):
        for name, each in found.items():
            curve = getattr(each, kind)
            share = np.linspace(0, 1, len(curve))
            if name in controls:
                style = ("--", ":")[list(controls).index(name) % 2]
                axes.plot(share, curve, style, color=FADED, linewidth=2, label=_label(name))
            else:
                place = methods.index(name)
                colour = colours[place % len(colours)]
                style = STYLES[place // len(colours) % len(STYLES)]
                axes.plot(share, curve, style, color=colour, linewidth=1.3, label=_label(name))
        good = "lower is better" if kind == "deletion" else "higher is better"
        axes.set(
            title=f"{kind} ({good})",
            xlabel=f"pixels {WHAT[kind]}, the highest ranked first",
            xlim=(0, 1),
            ylim=(0, 1),
        )
        axes.xaxis.set_major_formatter(PercentFormatter(1))
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        axes.grid(alpha=0.25)
    figure.axes[0].set_ylabel("probability of the explained class")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", frameon=False, fontsize=8)
    return save(figure, file)
