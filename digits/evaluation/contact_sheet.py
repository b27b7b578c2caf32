"""A contact sheet: small pictures in rows, a title for each row, a caption for each picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digits.evaluation.figures import ACCENT, INK, new_figure, save

COLUMNS = 12


@dataclass(frozen=True)
class Strip:
    """Pictures of one kind.

    Attributes:
        title: what they have in common.
        pictures: uint8 ``[H, W]`` each, of any size, background 0.
        captions: one for each.
    """

    title: str
    pictures: Sequence[NDArray[np.uint8]]
    captions: Sequence[str]


def contact_sheet(strips: Sequence[Strip], file: Path, *, title: str) -> Path:
    """Draw the strips one below the other; one without pictures is its title alone."""
    rows = [max(1, -(-len(strip.pictures) // COLUMNS)) for strip in strips]
    drawn = [count if strip.pictures else 0.25 for strip, count in zip(strips, rows, strict=True)]
    figure = new_figure(9, 1.0 * sum(drawn) + 0.35 * len(strips) + 0.5)
    figure.suptitle(title)
    parts = figure.subfigures(len(strips), 1, height_ratios=drawn, squeeze=False).flat
    for strip, count, part in zip(strips, rows, parts, strict=True):
        part.suptitle(strip.title, x=0.01, ha="left", fontsize=9, color=INK)
        for axes in part.subplots(count, COLUMNS, squeeze=False).flat:
            axes.axis("off")
        shown = zip(part.axes, strip.pictures, strip.captions, strict=False)
        for axes, picture, caption in shown:
            most = max(1, int(picture.max(initial=0)))  # raw scans end at 16
            axes.imshow(picture, cmap="gray_r", vmin=0, vmax=most)
            axes.set_title(caption, fontsize=8, color=ACCENT)
    return save(figure, file)
