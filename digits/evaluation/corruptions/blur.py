"""Blur through rough glass and by motion."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from digits.evaluation.corruptions.draws import Draws

GLASS_SIGMA = (0.0, 0.7, 0.0)
GLASS_ROUNDS = 2
MOTION_SIGMA = 3.0  # pixels
MOTION_TAPS = 21  # a radius of 10 pixels
MOTION_ANGLE = 45.0  # degrees, either way of the horizontal


def glass_blur(pixels: NDArray[np.float32], draws: Draws) -> NDArray[np.float32]:
    """Blur by 0.7 pixels, swap neighbours at random, blur again.

    Both blurs act along the columns alone: the published call names the width an axis of colour
    channels, and its library left that axis as it is.
    """
    count, height, width = pixels.shape
    blurred = np.floor(gaussian_filter(pixels, GLASS_SIGMA, mode="nearest") * 255) / 255
    shuffled = np.ascontiguousarray(blurred.reshape(count, -1).T)  # a row holds one pixel of all
    # Every second pixel changes places with itself or one of three neighbours above and left.
    partners = np.array([0, 0, 0, 0, 0, -1, -width, -width - 1])
    rows, columns = range(height - 1, 1, -1), range(width - 1, 1, -1)
    visited = [row * width + column for row in rows for column in columns]
    chosen = partners[draws.integers(0, len(partners) - 1, GLASS_ROUNDS, len(visited))]
    images = np.arange(count)
    for swaps in chosen.transpose(1, 2, 0):
        for place, swap in zip(visited, swaps, strict=True):
            here = shuffled[place].copy()
            shuffled[place] = shuffled[place + swap, images]
            shuffled[place + swap, images] = here
    back = shuffled.T.reshape(pixels.shape)
    return gaussian_filter(back, GLASS_SIGMA, mode="nearest")


def motion_blur(pixels: NDArray[np.float32], draws: Draws) -> NDArray[np.float32]:
    """Drag the ink to the left along a line of up to 45 degrees, fading like half a Gaussian.

    ImageMagick's motion blur of radius 10 and sigma 3: 21 taps at whole pixels; beyond the edge
    its pixels go on.
    """
    steps = np.arange(MOTION_TAPS)
    weights = np.exp(-(steps**2) / (2 * MOTION_SIGMA**2))
    weights /= weights.sum()
    angles = np.deg2rad(MOTION_ANGLE * (2 * draws.uniform(1).astype(np.float64) - 1))
    down = np.ceil(steps * np.sin(angles) - 0.5).astype(np.intp)
    right = np.ceil(steps * np.cos(angles) - 0.5).astype(np.intp)
    reach = MOTION_TAPS
    padded = np.pad(pixels, ((0, 0), (reach, reach), (0, reach)), mode="edge")
    windows = sliding_window_view(padded, pixels.shape[1:], axis=(1, 2))
    images = np.arange(len(pixels))
    blurred = np.zeros_like(pixels)
    for tap, weight in enumerate(weights.astype(np.float32)):
        blurred += weight * windows[images, reach + down[:, tap], right[:, tap]]
    return blurred
