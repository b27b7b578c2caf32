"""Shape features: what a person would say of a digit's form, as numbers.

Every sum runs over integers and is exact, and the rest is arithmetic of one image at a time that
IEEE 754 rounds in one way. So an image has bit for bit the same features alone and in a batch, in
training and where it is served: no transcendental function, whose last bit depends on the machine.

*Ink* is every pixel that is at least half as bright as the brightest one of its image. Rows count
downwards, columns to the right.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

SIDE = 28
CHUNK = 1024  # images at a time: some 50 MB
# Neighbours are told within an image, never from one image of a batch to the next.
WITHIN = np.zeros((3, 3, 3), bool)
WITHIN[1] = True  # ink holds together over corners,
ACROSS = WITHIN & ndimage.generate_binary_structure(3, 1)  # paper over edges only

#: name -> what it is, with its unit and range
SHAPE_FEATURES: Mapping[str, str] = {
    "brightness": "mean of all pixels, 0..1 of white",
    "peak": "brightest pixel, 0..1 of white",
    "paper": "mean of the pixels that are no ink, 0..1 of white: haze, noise, soft edges",
    "ink": "share of the pixels that are ink, 0..1",
    "roughness": "mean step from a pixel to the next one, down and to the right, 0..1 of white",
    "centre_row": "centre of mass below the middle, in half images, -1..1",
    "centre_column": "centre of mass to the right of the middle, in half images, -1..1",
    "height": "rows from the first to the last with ink, 0..1 of the image",
    "width": "columns from the first to the last with ink, 0..1 of the image",
    "aspect": "width / (width + height), 0..1; one half for a square",
    "spread_rows": "standard deviation of the brightness over rows, in half images",
    "spread_columns": "standard deviation of the brightness over columns, in half images",
    "slant": "columns to the right for each row upwards; 0 for an upright digit",
    "upright": "elongation along the rows' axis (1) or the columns' (-1)",
    "diagonal": "elongation along the falling (1) or the rising (-1) diagonal",
    "elongation": "difference of the two principal variances over their sum, 0..1",
    "skewness_rows": "third standardised moment over rows; positive: a long tail downwards",
    "skewness_columns": "third standardised moment over columns; positive: a tail to the right",
    "perimeter": "edges between ink and paper, in sides of the image",
    "stroke_width": "area of the ink over half its perimeter, in pixels",
    "thickness": "layers of ink that can be peeled off until none is left, in pixels",
    "compactness": "16 times the area over the squared perimeter, 0..1; 1 for a square",
    "parts": "pieces of ink that do not touch",
    "holes": "pieces of paper that ink encloses",
    "enclosed": "share of the pixels that lie in holes, 0..1",
    "symmetry_rows": "how equal top and bottom are in brightness, 0..1; 1: mirror images",
    "symmetry_columns": "how equal left and right are in brightness, 0..1; 1: mirror images",
    "symmetry_turn": "how equal the image is to itself turned by half a turn, 0..1",
    "strokes_down": "strokes that a column crosses, mean over the columns with ink",
    "strokes_across": "strokes that a row crosses, mean over the rows with ink",
}
SHAPE_NAMES = tuple(SHAPE_FEATURES)

Bits = NDArray[np.bool_]
Columns = dict[str, NDArray[Any]]


def shape_features(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Measure images uint8 ``[N, 28, 28]``, background 0 and ink high.

    An image without any ink has zeros throughout.

    Returns:
        float32 ``[N, F]``, finite; the columns are :data:`SHAPE_NAMES`.

    Raises:
        ValueError: the images are of another shape or type.
    """
    if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1:] != (SIDE, SIDE):
        raise ValueError(f"images must be uint8 [N, 28, 28], not {images.dtype} {images.shape}")
    found = np.empty((len(images), len(SHAPE_NAMES)), np.float32)
    for begin in range(0, len(images), CHUNK):
        part = images[begin : begin + CHUNK]
        peaks = part.max(axis=(1, 2))
        ink = (part >= (peaks - peaks // 2)[:, None, None]) & (part > 0)
        columns = {
            **_tone(part, ink, peaks),
            **_moments(part),
            **_symmetry(part),
            **_extent(ink),
            **_outline(ink),
            **_pieces(ink),
        }
        for place, name in enumerate(SHAPE_NAMES):
            found[begin : begin + CHUNK, place] = columns[name]
    return found


def _tone(images: NDArray[np.uint8], ink: Bits, peaks: NDArray[np.uint8]) -> Columns:
    whole = images.sum(axis=(1, 2), dtype=np.int64)
    paper = np.where(ink, np.uint8(0), images).sum(axis=(1, 2), dtype=np.int64)
    area = ink.sum(axis=(1, 2))
    levels = images.astype(np.int16)
    steps = np.abs(np.diff(levels, axis=1)).sum(axis=(1, 2), dtype=np.int64)
    steps += np.abs(np.diff(levels, axis=2)).sum(axis=(1, 2), dtype=np.int64)
    return {
        "brightness": whole / (255 * SIDE * SIDE),
        "peak": peaks / 255,
        "paper": _ratio(paper, 255 * (SIDE * SIDE - area)),
        "ink": area / (SIDE * SIDE),
        "roughness": steps / (255 * 2 * SIDE * (SIDE - 1)),
    }


def _moments(images: NDArray[np.uint8]) -> Columns:
    """Moments of the brightness (Hu 1962), about the centre of mass but for that itself."""
    # Integers below 2**53: float64 holds every product and sum of them exactly, in any order.
    place = np.arange(SIDE, dtype=np.float64)
    levels = images.astype(np.float64)
    rows, columns = levels.sum(axis=2), levels.sum(axis=1)
    mass = rows.sum(axis=1)
    row, column = _ratio(rows @ place, mass), _ratio(columns @ place, mass)
    row2 = _ratio(rows @ place**2, mass) - row * row
    column2 = _ratio(columns @ place**2, mass) - column * column
    both = _ratio((levels @ place) @ place, mass) - row * column
    row3 = _ratio(rows @ place**3, mass) - 3 * row * row2 - row * row * row
    column3 = _ratio(columns @ place**3, mass) - 3 * column * column2 - column * column * column
    total = row2 + column2
    half = (SIDE - 1) / 2
    inked = mass > 0
    return {
        "centre_row": np.where(inked, row / half - 1, 0),
        "centre_column": np.where(inked, column / half - 1, 0),
        "spread_rows": np.sqrt(np.maximum(row2, 0)) / half,
        "spread_columns": np.sqrt(np.maximum(column2, 0)) / half,
        "slant": -_ratio(both, row2, least=0.01),
        "upright": _ratio(row2 - column2, total, least=0.01),
        "diagonal": _ratio(2 * both, total, least=0.01),
        "elongation": _ratio(np.sqrt((row2 - column2) ** 2 + 4 * both * both), total, least=0.01),
        "skewness_rows": _ratio(row3, row2 * np.sqrt(np.maximum(row2, 0)), least=0.001),
        "skewness_columns": _ratio(column3, column2 * np.sqrt(np.maximum(column2, 0)), least=0.001),
    }


def _symmetry(images: NDArray[np.uint8]) -> Columns:
    levels = images.astype(np.int16)
    twice = 2 * levels.sum(axis=(1, 2), dtype=np.int64)

    def equal(other: NDArray[np.int16]) -> NDArray[np.float64]:
        differs = np.abs(levels - other).sum(axis=(1, 2), dtype=np.int64)
        return _ratio(twice - differs, twice)

    return {
        "symmetry_rows": equal(levels[:, ::-1]),
        "symmetry_columns": equal(levels[:, :, ::-1]),
        "symmetry_turn": equal(levels[:, ::-1, ::-1]),
    }


def _extent(ink: Bits) -> Columns:
    height, down = _along(ink.max(axis=2), ink, axis=2)
    width, across = _along(ink.max(axis=1), ink, axis=1)
    return {
        "height": height / SIDE,
        "width": width / SIDE,
        "aspect": _ratio(width, width + height),
        "strokes_across": down,
        "strokes_down": across,
    }


def _along(used: Bits, ink: Bits, *, axis: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return how far lines with ink reach ``[N]``, and the strokes that each of them crosses."""
    reach = SIDE - used.argmax(axis=1) - used[:, ::-1].argmax(axis=1)
    begins = np.diff(ink, axis=axis, prepend=False) & ink
    return np.where(used.any(axis=1), reach, 0), _ratio(begins.sum(axis=(1, 2)), used.sum(axis=1))


def _outline(ink: Bits) -> Columns:
    area = ink.sum(axis=(1, 2))
    framed = np.pad(ink, ((0, 0), (1, 1), (1, 1)))
    edges = np.diff(framed, axis=1).sum(axis=(1, 2)) + np.diff(framed, axis=2).sum(axis=(1, 2))
    layers = np.zeros(len(ink), np.int64)
    left = framed
    while left.any():  # 14 times at most
        layers += left.any(axis=(1, 2))
        peeled = np.zeros_like(left)
        inner = left[:, 1:-1, 1:-1] & left[:, :-2, 1:-1] & left[:, 2:, 1:-1]
        peeled[:, 1:-1, 1:-1] = inner & left[:, 1:-1, :-2] & left[:, 1:-1, 2:]
        left = peeled
    return {
        "perimeter": edges / SIDE,
        "stroke_width": _ratio(2 * area, edges),
        "thickness": layers,
        "compactness": _ratio(16 * area, edges * edges),
    }


def _pieces(ink: Bits) -> Columns:
    # One row and column of paper around: all that lies outside is one piece.
    paper = ~np.pad(ink, ((0, 0), (1, 1), (1, 1)))
    pieces, _ = ndimage.label(paper, ACROSS)
    inside = (pieces != pieces[:, :1, :1]) & paper
    drawn = ink.any(axis=(1, 2))
    return {
        "parts": _count(ndimage.label(ink, WITHIN)[0]),
        "holes": np.where(drawn, _count(pieces) - 1, 0),
        "enclosed": inside.sum(axis=(1, 2)) / (SIDE * SIDE),
    }


def _count(pieces: NDArray[np.int32]) -> NDArray[np.int64]:
    """Count the pieces of each image ``[N]``; they are numbered through the whole batch."""
    last = np.maximum.accumulate(pieces.max(axis=(1, 2), initial=0)).astype(np.int64)
    return np.diff(last, prepend=0)


def _ratio(part: NDArray[Any], whole: NDArray[Any], *, least: float = 0.0) -> NDArray[np.float64]:
    """Divide; 0 where ``whole`` is not above ``least``."""
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > least)
