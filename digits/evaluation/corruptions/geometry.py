"""Shear, scale, rotation and translation about the centre of the image, bilinear, on paper."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from digits.evaluation.corruptions.draws import Draws

Pixels: TypeAlias = NDArray[np.float32]
Matrix: TypeAlias = tuple[tuple[float, float], tuple[float, float]]
Point: TypeAlias = tuple[float, float]

SHEAR = 0.4  # radians
ANGLE = 0.4  # radians
SCALE = 0.7  # of the size
SHIFT = 3.0  # pixels, along each axis


def shear(pixels: Pixels, draws: Draws) -> Pixels:
    """Lean to either side by sin(0.4) columns a row, and grow 9 % taller.

    So the library of the published code built a shear of 0.4 radians.
    """

    def slanted(side: int) -> Pixels:
        lean = side * SHEAR
        return warped(pixels, ((1, -np.sin(lean)), (0, np.cos(lean))))

    return _either(slanted, draws)


def rotate(pixels: Pixels, draws: Draws) -> Pixels:
    """Turn by 0.4 radians to either side."""

    def turned(side: int) -> Pixels:
        sine, cosine = np.sin(side * ANGLE), np.cos(side * ANGLE)
        return warped(pixels, ((cosine, -sine), (sine, cosine)))

    return _either(turned, draws)


def scale(pixels: Pixels, draws: Draws) -> Pixels:
    """Shrink to 70 % of the size."""
    return warped(pixels, ((1 / SCALE, 0), (0, 1 / SCALE)))


def translate(pixels: Pixels, draws: Draws) -> Pixels:
    """Move by 3 pixels left or right and by 3 up or down."""
    right, down = draws.signs(2).T
    moved = np.zeros_like(pixels)
    for x in (-1, 1):
        for y in (-1, 1):
            chosen = (right == x) & (down == y)
            moved[chosen] = warped(pixels[chosen], ((1, 0), (0, 1)), (-x * SHIFT, -y * SHIFT))
    return moved


def warped(pixels: Pixels, matrix: Matrix, shift: Point = (0, 0)) -> Pixels:
    """Read every pixel of ``[N, H, W]`` from another place, bilinearly; outside lies 0.

    Args:
        pixels: the images.
        matrix: maps a place (x right, y down) about the centre to where it is read from.
        shift: is added to that.
    """
    weights = _weights(pixels.shape[1:], matrix, shift)
    flat = pixels.reshape(len(pixels), weights.shape[1])
    return (weights @ flat.T).T.reshape(pixels.shape)


@functools.cache
def _weights(shape: tuple[int, ...], matrix: Matrix, shift: Point) -> csr_array:
    """Return by how much each pixel (column) makes up each new one (row)."""
    places = np.indices(shape).reshape(2, -1)[::-1].T  # (x, y)
    middle = (np.array(shape[::-1]) - 1) / 2
    sources = (places - middle) @ np.transpose(matrix) + middle + shift
    apart = np.abs(sources[:, np.newaxis] - places)
    return csr_array(np.clip(1 - apart, 0, None).prod(2).astype(np.float32))


def _either(change: Callable[[int], Pixels], draws: Draws) -> Pixels:
    return np.where(draws.signs(1, 1) > 0, change(1), change(-1))
