"""Light and weather: brightness, stripes of negative, fog, spatter."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from digits.evaluation.corruptions.draws import Draws

BRIGHTER = 0.5
STRIPE = 7  # columns at either edge
FOG = 3.0  # of the thickest fog; white is 1
FOG_DECAY = 1.4  # finer levels are smaller by its square, one by one
FOG_SIDE = 256
FOG_AT_ONCE = 8  # fractals: so many stay in the cache
LIQUID = (0.65, 0.3)  # mean and standard deviation
LIQUID_SIGMA = 1.0
LIQUID_LEVEL = 0.65
MUD_SIGMA = 1.5
MUD_LEVEL = 0.8
MUD = 63 / 255


def brightness(pixels: NDArray[np.float32], draws: Draws) -> NDArray[np.float32]:
    """Add half of white."""
    return np.minimum(pixels + np.float32(BRIGHTER), 1)


def stripe(pixels: NDArray[np.float32], draws: Draws) -> NDArray[np.float32]:
    """Invert the 7 columns at the left and the 7 at the right."""
    striped = pixels.copy()
    for edge in (slice(None, STRIPE), slice(-STRIPE, None)):
        striped[:, :, edge] = 1 - pixels[:, :, edge]
    return striped


def fog(pixels: NDArray[np.float32], draws: Draws) -> NDArray[np.float32]:
    """Lay a corner of a plasma fractal over the image, three times as bright as white.

    All is dimmed again until the brightest pixel could be as bright as it was: the ink pales.
    """
    height, width = pixels.shape[1:]
    veil = np.empty_like(pixels)
    for start in range(0, len(pixels), FOG_AT_ONCE):
        part = slice(start, start + FOG_AT_ONCE)
        cloud = plasma(draws.of(part).uniform(FOG_SIDE**2 - 1), decay=FOG_DECAY)
        low, high = (extreme((1, 2), keepdims=True) for extreme in (cloud.min, cloud.max))
        veil[part] = (cloud[:, :height, :width] - low) / (high - low)
    brightest = pixels.max((1, 2), keepdims=True)
    return (pixels + np.float32(FOG) * veil) * (brightest / (brightest + np.float32(FOG)))


def plasma(noise: NDArray[np.float32], *, decay: float) -> NDArray[np.float32]:
    """Return clouds float32 ``[N, side, side]`` by the diamond-square algorithm on a torus.

    Args:
        noise: float32 ``[N, side * side - 1]`` in 0..1, the first the coarsest, overwritten;
            ``side`` is a power of two.
        decay: displacements lie within 1 either way at first, and within ``1 / decay**2`` of that
            at each finer level.
    """
    count = len(noise)
    noise -= np.float32(0.5)
    cloud = np.zeros((count, 1, 1), np.float32)
    amplitude = 2.0  # of noise that is half as wide
    while (side := cloud.shape[1]) ** 2 <= noise.shape[1]:
        bumps = noise[:, side**2 - 1 : 4 * side**2 - 1].reshape(count, 3, side, side)
        bumps *= np.float32(amplitude)
        pairs = cloud + np.roll(cloud, -1, 2)
        middle = (pairs + np.roll(pairs, -1, 1)) / 4 + bumps[:, 0]
        pairs += middle
        finer = np.empty((count, side, 2, side, 2), np.float32)
        finer[:, :, 0, :, 0] = cloud
        finer[:, :, 1, :, 1] = middle
        finer[:, :, 0, :, 1] = (pairs + np.roll(middle, 1, 1)) / 4 + bumps[:, 1]
        # The published map takes the corner to the right here where the one below is nearer.
        finer[:, :, 1, :, 0] = (pairs + np.roll(middle, 1, 2)) / 4 + bumps[:, 2]
        cloud = finer.reshape(count, 2 * side, 2 * side)
        amplitude /= decay**2
    return cloud


def spatter(pixels: NDArray[np.float32], draws: Draws) -> NDArray[np.float32]:
    """Cover spots, where smoothed noise is high, with dark grey mud."""
    mean, deviation = LIQUID
    liquid = mean + deviation * draws.normal(*pixels.shape[1:])
    wet = _smooth(liquid, LIQUID_SIGMA) > LIQUID_LEVEL
    mud = _smooth(wet.astype(np.float32), MUD_SIGMA)
    mud[mud < MUD_LEVEL] = 0
    return pixels * (1 - mud) + np.float32(MUD) * mud


def _smooth(fields: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    return gaussian_filter(fields, (0, sigma, sigma), mode="nearest")
