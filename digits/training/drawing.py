"""Drawing at random on a canvas: lines, bends, letters, and glyphs of no script."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Points = NDArray[np.float64]
Random = np.random.Generator

SIDE = 112  # of the canvas, in pixels
FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_SCRIPT_SIMPLEX,
    cv2.FONT_HERSHEY_SCRIPT_COMPLEX,
)
# Without those that many people write as a digit: BDGIOQSZ, bgiloqsz.
LETTERS = "ACEFHJKLMNPRTUVWXYacdefhjkmnprtuvwxy" * 2 + "+*#%&?@=<>^~$"


def empty() -> Image:
    """Return a canvas without ink, uint8 ``[112, 112]``."""
    return np.zeros((SIDE, SIDE), np.uint8)


def line(canvas: Image, points: Points, width: float) -> None:
    """Draw a line through points ``[K, 2]`` with an antialiased edge."""
    eighths = np.rint(points * 8).astype(np.int32)
    cv2.polylines(canvas, [eighths], False, 255, max(2, round(width)), cv2.LINE_AA, 3)


def slanted(random: Random, image: Image, most: float) -> Image:
    """Turn by up to ``most`` degrees, shear, and make smaller and broader or slimmer."""
    centre = (image.shape[1] / 2, image.shape[0] / 2)
    angle, scale = random.uniform(-most, most), random.uniform(0.75, 0.95)
    matrix = cv2.getRotationMatrix2D(centre, angle, scale)
    matrix[0] *= random.uniform(0.8, 1.2)
    matrix[0, 1] += random.uniform(-most, most) / 48
    matrix[:, 2] += centre - matrix @ (*centre, 1)
    return np.asarray(cv2.warpAffine(image, matrix, image.shape[::-1]), np.uint8)


def wobbly(random: Random, image: Image) -> Image:
    """Bend it a little, as a hand does."""
    grid = random.normal(0, random.uniform(0, 3), (2, 5, 5)).astype(np.float32)
    across, down = (cv2.resize(each, image.shape, interpolation=cv2.INTER_CUBIC) for each in grid)
    y, x = np.mgrid[: image.shape[0], : image.shape[1]].astype(np.float32)
    bent = cv2.remap(image, x + across, y + down, cv2.INTER_LINEAR)
    return np.asarray(bent, np.uint8)


def letter(random: Random) -> Image:
    """A letter or a sign in one of OpenCV's fonts."""
    canvas, text = empty(), LETTERS[random.integers(len(LETTERS))]
    font, thickness = FONTS[random.integers(len(FONTS))], int(random.integers(2, 11))
    (width, height), _ = cv2.getTextSize(text, font, 2.6, thickness)
    place = ((SIDE - width) // 2, (SIDE + height) // 2)
    cv2.putText(canvas, text, place, font, 2.6, 255, thickness, cv2.LINE_AA)
    return wobbly(random, slanted(random, canvas, most=12))


def glyph(random: Random) -> Image:
    """Joined stems, bars and bowls on a grid, as in the letters of many scripts."""
    canvas, width, serif = empty(), random.uniform(3, 12), random.random() < 0.4
    thin = width * random.uniform(0.4, 1)
    size = random.uniform((28, 50), (70, 80))
    grid = SIDE / 2 + np.array([(x, y) for x in (-0.5, 0, 0.5) for y in (-0.5, 0, 0.5)]) * size
    reached: list[Points] = []
    for _ in range(random.integers(2, 6)):
        joined = reached and random.random() < 0.85
        start = reached[random.integers(len(reached))] if joined else grid[random.integers(9)]
        end = grid[random.integers(9)]
        if np.allclose(start, end):
            end = start + np.array([0, size[1] / 2])
        part, end, is_stem = _part(random, start, end)
        line(canvas, part, width if is_stem else thin)
        if serif and is_stem and len(part) == 2:
            for foot in part[random.random(2) < 0.7]:
                reach = np.array([width * random.uniform(0.7, 1.6), 0])
                line(canvas, np.stack([foot - reach, foot + reach]), thin)
        reached += [start, end]
    return wobbly(random, slanted(random, canvas, most=12))


def _part(random: Random, start: Points, end: Points) -> tuple[Points, Points, bool]:
    """Return a part of a glyph as points, where it ends, and whether it is rather upright."""
    kind = random.random()
    if kind < 0.35:  # along the grid
        along = (start[0], end[1]) if random.random() < 0.5 else (end[0], start[1])
        end = np.array(along) if not np.allclose(start, along) else end
    is_stem = bool(abs(end[1] - start[1]) > abs(end[0] - start[0]))
    if kind < 0.5:
        return np.stack([start, end]), end, is_stem
    angles = np.linspace(0, np.pi if kind < 0.75 else np.pi / 2, 30)[:, None]
    if kind < 0.75:  # half an ellipse
        half = (end - start) / 2
        bulge = np.array([-half[1], half[0]]) * random.choice([-1, 1]) * random.uniform(0.6, 1.6)
        return (start + end) / 2 - half * np.cos(angles) + bulge * np.sin(angles), end, is_stem
    corner = np.where(random.permutation([True, False]), start, end)  # a quarter of one
    curve = corner + (start - corner) * np.cos(angles) + (end - corner) * np.sin(angles)
    return curve, end, is_stem
