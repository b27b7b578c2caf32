"""Does an answer survive what no person would notice: a shift by one pixel?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digits.evaluation.classify import Classify

#: the eight (down, right) shifts by one pixel
DIRECTIONS = tuple((y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0))


@dataclass(frozen=True)
class Stability:
    """How answers fare under the eight shifts by one pixel.

    Attributes:
        stable: share of the images whose answer never changes, in 0..1.
        kept: (down, right) -> share of the images whose answer that shift leaves as it is.
    """

    stable: float
    kept: Mapping[tuple[int, int], float]


def shifted(images: NDArray[np.uint8], *, down: int, right: int) -> NDArray[np.uint8]:
    """Move images uint8 ``[N, H, W]`` by whole pixels; what enters is paper (0)."""
    moved = np.zeros_like(images)
    height, width = images.shape[1:]
    rows = slice(max(down, 0), height + min(down, 0)), slice(max(-down, 0), height - max(down, 0))
    columns = (
        slice(max(right, 0), width + min(right, 0)),
        slice(max(-right, 0), width - max(right, 0)),
    )
    moved[:, rows[0], columns[0]] = images[:, rows[1], columns[1]]
    return moved


def stability(
    classify: Classify,
    images: NDArray[np.uint8],
    *,
    progress: Callable[[], None] = lambda: None,
) -> Stability:
    """Ask about images uint8 ``[N, 28, 28]`` as they are and in eight places; N above 0.

    ``progress`` is called after each of the eight.
    """
    before = classify(images).argmax(1)
    never = np.ones(len(images), dtype=bool)
    kept = {}
    for down, right in DIRECTIONS:
        same = classify(shifted(images, down=down, right=right)).argmax(1) == before
        kept[down, right] = float(same.mean())
        never &= same
        progress()
    return Stability(float(never.mean()), kept)
