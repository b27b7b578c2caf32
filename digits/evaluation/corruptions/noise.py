"""Noise of single pixels: shot and impulse."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from digits.evaluation.corruptions.draws import Draws

PHOTONS = 3  # of a white pixel
IMPULSES = 0.17  # share of the pixels that are lost


def shot_noise(pixels: NDArray[np.float32], draws: Draws) -> NDArray[np.float32]:
    """Count photons: a Poisson draw of mean 3 for white, and 3 or more are white again."""
    mean = PHOTONS * pixels
    chance = np.exp(-mean)  # of no photon at all
    below = chance.copy()  # of at most so many
    uniform = draws.uniform(*pixels.shape[1:])
    count = np.zeros_like(pixels)
    for photons in range(1, PHOTONS + 1):
        count += uniform >= below
        chance *= mean / photons
        below += chance
    return count / np.float32(PHOTONS)


def impulse_noise(pixels: NDArray[np.float32], draws: Draws) -> NDArray[np.float32]:
    """Turn 17 % of the pixels white or black, as many one as the other."""
    uniform = draws.uniform(*pixels.shape[1:])
    noisy = pixels.copy()
    noisy[uniform < IMPULSES / 2] = 0
    noisy[uniform >= 1 - IMPULSES / 2] = 1
    return noisy
