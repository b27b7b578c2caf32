"""Nothing but the outline of the strokes, by Canny's method."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d, gaussian_filter, label

from digits.evaluation.corruptions.draws import Draws

SIGMA = 1.0
WEAK, STRONG = 0.1, 0.2  # slopes of an edge, by Sobel's operator on 0..1
TINY = np.finfo(float).eps


def canny_edges(pixels: NDArray[np.float32], draws: Draws) -> NDArray[np.float32]:
    """Draw in white the crests of the slope that hold a strong pixel, as scikit-image does."""
    smooth = _smooth(np.rint(pixels * 255) / 255.0)
    down, right = _sobel(smooth, along=1, across=2), _sobel(smooth, along=2, across=1)
    slope = np.hypot(down, right)
    crest = _crest(slope, down, right)
    weak = crest & (slope >= WEAK)
    touching = np.zeros((3, 3, 3), bool)
    touching[1] = True  # eight neighbours in the image, none in the next one
    edges, count = label(weak, touching)
    strong = np.zeros(count + 1, bool)
    strong[edges[crest & (slope >= STRONG)]] = True
    strong[0] = False
    return strong[edges].astype(np.float32)


def _smooth(pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Smooth as if nothing were beyond the edge, not even paper."""
    sigmas = (0, SIGMA, SIGMA)
    inside = gaussian_filter(np.ones_like(pixels[:1]), sigmas, mode="constant")
    return gaussian_filter(pixels, sigmas, mode="constant") / (inside + TINY)


def _sobel(smooth: NDArray[np.float64], *, along: int, across: int) -> NDArray[np.float64]:
    slope = correlate1d(smooth, [-1, 0, 1], along, mode="reflect")
    return correlate1d(slope, [1, 2, 1], across, mode="reflect")


def _crest(
    slope: NDArray[np.float64], down: NDArray[np.float64], right: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Find where the slope is no less than on either side of it, in its own direction.

    Between two pixels it is interpolated; the rim of the image is never a crest.
    """
    height, width = slope.shape[1:]

    def at(row: int, column: int) -> NDArray[np.float64]:
        return slope[:, 1 + row : height - 1 + row, 1 + column : width - 1 + column]

    inner = np.s_[:, 1:-1, 1:-1]
    down, right, here = down[inner], right[inner], slope[inner]
    steep = np.abs(down) >= np.abs(right)
    falling = down * right >= 0  # the direction runs from upper left to lower right
    larger = np.maximum(np.abs(down), np.abs(right))
    part = np.minimum(np.abs(down), np.abs(right)) / np.where(larger > 0, larger, 1)
    highest = here > 0
    for side in (-1, 1):
        straight = np.where(steep, at(side, 0), at(0, side))
        other = np.where(steep, at(side, -side), at(-side, side))
        diagonal = np.where(falling, at(side, side), other)
        highest &= diagonal * part + straight * (1 - part) <= here
    crest = np.zeros(slope.shape, bool)
    crest[inner] = highest
    return crest
