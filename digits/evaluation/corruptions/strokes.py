"""Strokes of a second pen: a dotted line and a zigzag."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits.evaluation.corruptions.draws import Draws

REACH = 2.3  # pixels of vertical distance at which the logarithm of the ink ends
ROWS = (0, 26)  # where a stroke starts; a dotted line also ends there
DOT = 2  # columns of a dot, and of a gap
ZIGZAG = (2.0, 25.0)  # first and last column
ZIGZAG_SIZE = 2.0  # pixels: height of a corner, and half its width
ZIGZAG_RISE = (-5, 4)  # rows from the first column to the last


def dotted_line(pixels: NDArray[np.float32], draws: Draws) -> NDArray[np.float32]:
    """Draw a dotted line from edge to edge."""
    height, width = pixels.shape[1:]
    rows = draws.integers(*ROWS, 2).T
    edges = np.broadcast_to([[0], [width - 1]], rows.shape)
    ink = _stroke(edges, rows, height, width)
    gaps = np.arange(width) // DOT % 2 == 0
    ink[:, :, gaps] = 0
    return np.minimum(pixels + ink, 1)


def zigzag(pixels: NDArray[np.float32], draws: Draws) -> NDArray[np.float32]:
    """Draw a zigzag of seven strokes along a line that is nearly level."""
    height, width = pixels.shape[1:]
    start = draws.integers(*ROWS, 1)
    rise = draws.integers(*ZIGZAG_RISE, 1)
    across, down = _corners(rise)
    first, last = ZIGZAG
    slope = np.arctan(rise / (last - first))
    columns = first + across * np.cos(slope) - down * np.sin(slope)
    rows = start + across * np.sin(slope) + down * np.cos(slope)
    drawn = pixels
    for one in range(columns.shape[1] - 1):
        ends = columns[:, one : one + 2].T, rows[:, one : one + 2].T
        drawn = np.minimum(drawn + _stroke(*ends, height, width), np.float32(1))
    return drawn


def _corners(rise: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the ends of the strokes, along and across a level line, float64 ``[N, ends]``.

    Corners stand every 4 pixels, from 2 on, below and above in turn; the last end lies where the
    line ends, just above it.
    """
    size = ZIGZAG_SIZE
    length = np.hypot(ZIGZAG[1] - ZIGZAG[0], rise)  # 23 to 23.6 pixels: always six corners
    middle = size + 2 * size * np.arange((ZIGZAG[1] - ZIGZAG[0] - size) // (2 * size) + 1)
    sides = np.where(np.arange(len(middle)) % 2 == 0, size, -size)
    over = length % (2 * size)
    each = np.ones_like(length)
    along = np.hstack([0 * each, middle * each, length])
    aside = np.hstack([0 * each, sides * each, sides[-1] / (2 * over)])
    return along, aside


def _stroke(
    columns: NDArray[Any], rows: NDArray[Any], height: int, width: int
) -> NDArray[np.float32]:
    """Draw one stroke per image, float32 ``[N, height, width]`` in 0..1.

    Ink falls with the vertical distance. ``columns`` and ``rows`` are those of the two ends,
    ``[2, N]``; the stroke lies in the columns from the one to the other.
    """
    (left, right), (top, bottom) = columns, rows
    column = np.arange(width)
    slope = (bottom - top) / (right - left)
    line = top[:, np.newaxis] + slope[:, np.newaxis] * (column - left[:, np.newaxis])
    inside = (column >= np.floor(left)[:, np.newaxis]) & (column < np.ceil(right)[:, np.newaxis])
    line = np.where(inside, line, np.inf).astype(np.float32)
    rows = np.arange(height, dtype=np.float32)
    distance = np.abs(rows[:, np.newaxis] - line[:, np.newaxis])
    share = 1 - np.minimum(distance, 2) / np.float32(REACH)  # no ink is left at 2
    return np.maximum(np.log(share) + 1, 0)
