"""Pictures that are no digits, drawn at random: what a detector of them learns from.

Scribbles, blots, letters, made-up glyphs and noise, and digits drawn anew like them, so that the
way of drawing does not tell one from the other. Everything goes through the preprocessing that
pictures meet when they are served.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

import cv2
import numpy as np
from numpy.typing import NDArray

from digits.contract.preprocessing import Preprocessing
from digits.training.drawing import SIDE, Image, Random, empty, glyph, letter, line, slanted


class Kind(IntEnum):
    """What a picture shows."""

    SCRIBBLE = 0
    BLOT = 1
    GLYPH = 2
    NOISE = 3


SHARES = {Kind.SCRIBBLE: 0.4, Kind.BLOT: 0.1, Kind.GLYPH: 0.42, Kind.NOISE: 0.08}


def non_digits(
    count: int, preprocess: Preprocessing, *, seed: int
) -> tuple[Image, NDArray[np.int64]]:
    """Draw ``count`` pictures.

    Returns:
        Images uint8 ``[count, 28, 28]``, and the :class:`Kind` of each, int64 ``[count]``.
    """
    random = np.random.default_rng(seed)
    kinds = random.choice(list(SHARES), count, p=list(SHARES.values())).astype(np.int64)
    images = [_draw(random, kind, preprocess) for kind in kinds]
    return np.stack(images), kinds


def redrawn(images: Image, preprocess: Preprocessing, *, seed: int) -> Image:
    """Draw digits uint8 ``[N, 28, 28]`` anew, with crisp edges, other widths and slants."""
    random = np.random.default_rng(seed)
    return preprocess.many(_redraw(random, image) for image in images)


def _draw(random: Random, kind: int, preprocess: Preprocessing) -> Image:
    if kind == Kind.NOISE:
        return _noise(random)
    makers: dict[int, tuple[Callable[[Random], Image], ...]] = {
        Kind.SCRIBBLE: (_strokes, _walk, _winding, _strokes, _arcs, _arcs),
        Kind.BLOT: (_stain, _polygons),
        Kind.GLYPH: (letter, glyph),
    }
    choices = makers[kind]
    return preprocess(choices[random.integers(len(choices))](random))


def _redraw(random: Random, image: Image) -> Image:
    large = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    soft = cv2.GaussianBlur(large.astype(np.float32), (0, 0), random.uniform(1.5, 3))
    crisp = (soft - random.uniform(60, 150)) * random.uniform(2, 8) + 128
    return slanted(random, np.clip(crisp, 0, 255).astype(np.uint8), most=7)


def _strokes(random: Random) -> Image:
    """Several Bezier curves, some of them straight."""
    canvas, width = empty(), random.uniform(3, 12)
    along = np.linspace(0, 1, 40)[:, None]
    for _ in range(random.integers(3, 8)):
        points = random.uniform(14, SIDE - 14, (4, 2))
        if random.random() < 0.3:
            points[1:3] = points[[0, 3]]
        a, b, c, d = points
        back = 1 - along
        curve = a * back**3 + 3 * b * along * back**2 + 3 * c * along**2 * back + d * along**3
        line(canvas, curve, width)
    return canvas


def _walk(random: Random) -> Image:
    """One line that turns at random, with corners or without."""
    canvas, count = empty(), int(random.integers(4, 16))
    points = np.cumsum(random.normal(0, 1, (count, 2)), axis=0)
    points -= points.min(axis=0)
    points = points / points.max() * (SIDE - 28) + 14
    if random.random() < 0.5:
        fine = np.linspace(0, count - 1, 12 * count)
        dense = [np.interp(fine, np.arange(count), column) for column in points.T]
        window = np.ones(9) / 9
        points = np.stack(
            [np.convolve(np.pad(each, 4, mode="edge"), window, "valid") for each in dense], axis=1
        )
    line(canvas, points, random.uniform(3, 12))
    return canvas


def _winding(random: Random) -> Image:
    """A Lissajous figure or a spiral."""
    canvas, time = empty(), np.linspace(0, random.uniform(3, 14), 150)
    speed_x, speed_y = random.uniform(0.5, 3.2, 2)
    radius = np.exp(-time * random.choice([0, 0.08, 0.2]))[:, None] * random.uniform(0.6, 1, 2)
    phase = random.uniform(0, 2 * np.pi)
    turns = np.stack([np.cos(speed_x * time + phase), np.sin(speed_y * time)], axis=1)
    line(canvas, turns * radius * (SIDE / 2 - 16) + SIDE / 2, random.uniform(3, 12))
    return canvas


def _arcs(random: Random) -> Image:
    """Parts of ellipses, apart or across each other."""
    canvas, width = empty(), random.uniform(3, 11)
    for _ in range(random.integers(2, 7)):
        start, turn = random.uniform(0, 2 * np.pi, 2)
        angles = np.linspace(start, start + random.uniform(1.2, 6.2), 30)
        radii = random.uniform(7, 24) * random.uniform(0.5, 1, 2)
        flat = np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii
        rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        line(canvas, flat @ rotation + random.uniform(20, SIDE - 20, 2), width)
    return canvas


def _stain(random: Random) -> Image:
    """Where smooth noise is high, more so in the middle."""
    noise = random.normal(0, 1, (SIDE, SIDE)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), random.uniform(8, 22))
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE - 0.5
    level = smooth / smooth.std() - random.uniform(6, 18) * (x * x + y * y)
    return np.where(level > random.uniform(-0.8, 0.6), 255, 0).astype(np.uint8)


def _polygons(random: Random) -> Image:
    """Filled polygons, from triangles to nearly round ones."""
    canvas = empty()
    for _ in range(random.integers(1, 4)):
        count = random.integers(3, 14)
        angles = np.sort(random.uniform(0, 2 * np.pi, count))
        radii = random.uniform(18, 36) * random.uniform(0.7, 1.3, count)
        corners = np.stack([np.cos(angles) * random.uniform(0.5, 1), np.sin(angles)], axis=1)
        points = corners * radii[:, None] + random.uniform(40, SIDE - 40, 2)
        cv2.fillPoly(canvas, [np.rint(points * 8).astype(np.int32)], 255, cv2.LINE_AA, 3)
    return canvas


def _noise(random: Random) -> Image:
    """Even grey, or noise of some grain and strength; not from a page, so not preprocessed."""
    if random.random() < 0.2:
        level = random.integers(0, 256) if random.random() < 0.6 else 0
        return np.full((28, 28), level, np.uint8)
    noise = random.normal(0, 1, (28, 28)).astype(np.float32)
    grain = random.choice([0, 0.7, 1.5, 3])
    if grain:
        noise = np.asarray(cv2.GaussianBlur(noise, (0, 0), grain), np.float32)
        noise /= noise.std()
    levels = (
        random.uniform(0, 160) + noise * random.uniform(5, 90),
        (noise > random.uniform(0.3, 2.2)) * random.uniform(60, 255),
        np.abs(noise) * random.uniform(10, 100),
    )
    return np.clip(levels[random.integers(3)], 0, 255).astype(np.uint8)
