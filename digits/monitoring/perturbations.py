"""Ways in which a digit changes that a monitor learns from: how far answers can then be trusted.

They are none of :mod:`digits.evaluation.corruptions`, and of other kinds, so that those stay what
nothing has seen. Each has one strength in 0..1 and draws it for a whole set of images: sets range
from harmless to ruinous, which is what an estimate of accuracy has to tell apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Pixels: TypeAlias = NDArray[np.float32]
#: pixels float32 ``[N, 28, 28]`` in 0..1, strength in 0..1, generator -> the same, changed
Perturbation: TypeAlias = Callable[[Pixels, float, np.random.Generator], Pixels]

SIDE = 28


def elastic(pixels: Pixels, strength: float, random: np.random.Generator) -> Pixels:
    """Bend strokes by a smooth field of displacements of up to some 5 pixels."""
    fields = random.normal(size=(2, *pixels.shape)).astype(np.float32)
    smooth = ndimage.gaussian_filter(fields, (0, 0, 4, 4)) * np.float32(14 + 70 * strength)
    return _sampled(pixels, smooth[0], smooth[1])


def wave(pixels: Pixels, strength: float, random: np.random.Generator) -> Pixels:
    """Push rows to and fro along a sine of up to 3 pixels."""
    rows = np.arange(SIDE)[None, :, None]
    phase = random.uniform(0, 2 * np.pi, (len(pixels), 1, 1))
    right = (0.5 + 2.5 * strength) * np.sin(rows * 2 * np.pi / 9 + phase)
    field: Pixels = np.broadcast_to(right, pixels.shape).astype(np.float32)
    return _sampled(pixels, np.zeros_like(field), field)


def jitter(pixels: Pixels, strength: float, random: np.random.Generator) -> Pixels:
    """Move every row by some pixels of its own."""
    reach = 1 + round(3 * strength)
    right = random.integers(-reach, reach + 1, (len(pixels), SIDE, 1)).astype(np.float32)
    right = np.broadcast_to(right, pixels.shape)
    return _sampled(pixels, np.zeros_like(right), right)


def erased(pixels: Pixels, strength: float, random: np.random.Generator) -> Pixels:
    """Wipe out a square of the middle."""
    side = 5 + round(9 * strength)
    corners = random.integers(4, 24 - side + 1, (len(pixels), 2, 1))
    inside = (np.arange(SIDE) >= corners) & (np.arange(SIDE) < corners + side)
    return np.where(inside[:, 0, :, None] & inside[:, 1, None, :], 0, pixels).astype(np.float32)


def faint(pixels: Pixels, strength: float, random: np.random.Generator) -> Pixels:
    """Write with less and less ink."""
    return pixels * np.float32(0.6 - 0.5 * strength)


def coarse(pixels: Pixels, strength: float, random: np.random.Generator) -> Pixels:
    """Keep one grey level for each square of pixels."""
    side = (2, 4, 7)[min(2, int(3 * strength))]
    blocks = pixels.reshape(len(pixels), SIDE // side, side, SIDE // side, side)
    levels: Pixels = blocks.mean((2, 4)).repeat(side, 1).repeat(side, 2)
    return levels


def thick(pixels: Pixels, strength: float, random: np.random.Generator) -> Pixels:
    """Write with a broader pen."""
    size = 2 + round(3 * strength)
    broad: Pixels = ndimage.grey_dilation(pixels, (1, size, size))
    return broad


def thin(pixels: Pixels, strength: float, random: np.random.Generator) -> Pixels:
    """Write with a finer pen, down to where strokes break."""
    size = 2 + round(strength)
    worn = ndimage.grey_erosion(pixels, (1, size, size))
    left: Pixels = np.maximum(worn, np.float32(0.3 * (1 - strength)) * pixels)
    return left


def doubled(pixels: Pixels, strength: float, random: np.random.Generator) -> Pixels:
    """Let another digit shine through."""
    other = pixels[random.permutation(len(pixels))]
    both: Pixels = np.maximum(pixels, np.float32(0.25 + 0.6 * strength) * other)
    return both


def grid(pixels: Pixels, strength: float, random: np.random.Generator) -> Pixels:
    """Write on squared paper."""
    step = 7
    lines = np.zeros((SIDE, SIDE), np.float32)
    lines[::step] = lines[:, ::step] = 0.15 + 0.85 * strength
    return np.maximum(pixels, lines)


def binary(pixels: Pixels, strength: float, random: np.random.Generator) -> Pixels:
    """Know ink and paper and nothing between them."""
    return (pixels > np.float32(0.3 + 0.55 * strength)).astype(np.float32)


def cut(pixels: Pixels, strength: float, random: np.random.Generator) -> Pixels:
    """Lose the lower part of the image."""
    kept = round(22 - 9 * strength)
    return np.where(np.arange(SIDE)[None, :, None] < kept, pixels, np.float32(0))


def mirrored(pixels: Pixels, strength: float, random: np.random.Generator) -> Pixels:
    """Flip some of the digits from left to right."""
    flipped = random.random(len(pixels)) < 0.2 + 0.8 * strength
    return np.where(flipped[:, None, None], pixels[:, :, ::-1], pixels)


_ALL: tuple[Perturbation, ...] = (
    elastic, wave, jitter, erased, faint, coarse, thick, thin, doubled, grid, binary, cut, mirrored,
)  # fmt: skip

#: name -> what it does
PERTURBATIONS: Mapping[str, Perturbation] = MappingProxyType({each.__name__: each for each in _ALL})


def perturbed(
    name: str, images: NDArray[np.uint8], *, strength: float, random: np.random.Generator
) -> NDArray[np.uint8]:
    """Change images uint8 ``[N, 28, 28]`` by one of :data:`PERTURBATIONS`; the input is kept.

    Args:
        name: of the perturbation.
        images: background 0; N above 0.
        strength: in 0..1.
        random: drawn from.
    """
    changed = PERTURBATIONS[name](images.astype(np.float32) / np.float32(255), strength, random)
    levels: NDArray[np.uint8] = np.rint(255 * np.clip(changed, 0, 1)).astype(np.uint8)
    return levels


def _sampled(pixels: Pixels, down: Pixels, right: Pixels) -> Pixels:
    """Read every pixel of ``[N, 28, 28]`` from that far away, bilinearly; outside lies 0."""
    rows, columns = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    images = np.broadcast_to(np.arange(len(pixels))[:, None, None], pixels.shape)
    places = np.stack([images, rows + down, columns + right]).astype(np.float32)
    moved: Pixels = ndimage.map_coordinates(pixels, places, order=1, prefilter=False)
    return moved
