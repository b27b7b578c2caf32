"""Telling ink from paper: which is the background, how bright, how noisy, how it slopes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Gray = NDArray[np.uint8]
Field = NDArray[np.float32]

# A normal deviate stays within this many standard deviations nine times out of ten.
NINE_IN_TEN = 1.645


def lift_ink(image: Gray, minimum_contrast: float, noise_factor: float) -> Field | None:
    """Separate the ink of a grey image uint8 ``[H, W]`` from its paper.

    The paper is what the border mostly shows, a slope of its brightness included. Ink is whatever
    departs from it furthest, brighter or darker, so either polarity works.

    Returns:
        float32 ``[H, W]``, 0 where there is paper and 1 at the strongest stroke; None for a blank
        page: nothing departs from the paper by ``minimum_contrast`` grey levels, or nothing stands
        out of its noise.
    """
    border = _border(image)
    level = float(np.sort(border)[border.size // 2])
    departure = image.astype(np.float32) - np.float32(level)
    noise = 0.0
    if np.count_nonzero(border == level) * 2 < border.size:
        departure, noise = _flatten(departure)
    brighter, darker = float(departure.max()), -float(departure.min())
    peak = max(brighter, darker)
    floor = noise_factor * noise
    if peak < max(minimum_contrast, 1.5 * floor):
        return None
    ink = departure if brighter >= darker else -departure
    # Soft, so that strokes keep their edges: what is left fades in from the noise upwards.
    lifted = (ink - np.float32(floor)) / np.float32(peak - floor)
    return lifted.clip(0, 1)


def _border(values: NDArray[Any]) -> NDArray[Any]:
    """Return the pixels of the outer ring, one twentieth of the shorter side wide."""
    width = max(1, min(values.shape) // 20)
    top, bottom = values[:width], values[-width:]
    return np.concatenate(
        [part.ravel() for part in (top, bottom, values[:, :width], values[:, -width:])]
    )


def _flatten(departure: Field) -> tuple[Field, float]:
    """Subtract the paper's brightness over the page; also return the paper's noise (sd).

    Least squares on the border of a slope and a curve along each axis: a lamp to one side, and a
    lens that darkens the corners. Ink that touches the border is left out of the fit: first what
    departs by half of the contrast, then what the first fit does not explain.
    """
    height, width = departure.shape
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    border = _border(departure)
    shapes = [np.ones_like(departure), *(np.broadcast_to(z, departure.shape) for z in (y, x))]
    terms = np.stack([_border(shape) for shape in shapes], axis=1)
    terms = np.concatenate([terms, terms[:, 1:] ** 2], axis=1)
    paper = np.abs(border) <= 0.5 * np.abs(departure).max()
    for _ in range(2):
        known = terms[paper]
        # Normal equations: five unknowns; least squares of them also does for a single row.
        fit, *_ = np.linalg.lstsq(known.T @ known, known.T @ border[paper], rcond=None)
        rest = np.abs(border - terms @ fit)
        paper = rest <= 4 * np.median(rest) + 1
    noise = float(np.quantile(rest[paper], 0.9)) / NINE_IN_TEN
    background = fit[0] + y * (fit[1] + fit[3] * y) + x * (fit[2] + fit[4] * x)
    return departure - background, noise
