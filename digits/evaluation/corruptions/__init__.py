"""Fifteen ways in which a digit can be spoilt: the MNIST-C families at their published strength.

N. Mu and J. Gilmer, "MNIST-C: A Robustness Benchmark for Computer Vision", 2019 (arXiv 1906.02337).
They are for judging a model, and no step of any training: a model that has seen them proves nothing
by withstanding them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from digits.evaluation.corruptions.blur import glass_blur, motion_blur
from digits.evaluation.corruptions.draws import Draws
from digits.evaluation.corruptions.edges import canny_edges
from digits.evaluation.corruptions.geometry import rotate, scale, shear, translate
from digits.evaluation.corruptions.noise import impulse_noise, shot_noise
from digits.evaluation.corruptions.strokes import dotted_line, zigzag
from digits.evaluation.corruptions.weather import brightness, fog, spatter, stripe

#: pixels float32 ``[N, 28, 28]`` in 0..1 and their draws -> the same, spoilt; the input is kept
Corruption: TypeAlias = Callable[[NDArray[np.float32], Draws], NDArray[np.float32]]

_FAMILIES: tuple[Corruption, ...] = (
    shot_noise, impulse_noise, glass_blur, motion_blur, shear, scale, rotate, brightness,
    translate, stripe, fog, spatter, dotted_line, zigzag, canny_edges,
)  # fmt: skip

#: name -> what it does, in the order of the paper
CORRUPTIONS: Mapping[str, Corruption] = MappingProxyType(
    {family.__name__: family for family in _FAMILIES}
)

AT_ONCE = 500  # images: the fields of a batch stay near the processor
SIDE = 28


def corrupt(name: str, images: NDArray[np.uint8], *, seed: int) -> NDArray[np.uint8]:
    """Spoil images by one of :data:`CORRUPTIONS`.

    What becomes of an image depends on the seed, the name and its own pixels: not on its place,
    nor on the other images.

    Args:
        name: of the corruption.
        images: uint8 ``[N, 28, 28]``, background 0; N may be 0.
        seed: any whole number.

    Returns:
        uint8 ``[N, 28, 28]``, a copy.

    Raises:
        ValueError: no such corruption, or images of another kind.
    """
    if name not in CORRUPTIONS:
        raise ValueError(f"no corruption is called {name!r}: there are {', '.join(CORRUPTIONS)}")
    if images.dtype != np.uint8 or images.shape[1:] != (SIDE, SIDE):
        raise ValueError(
            f"images must be uint8 [N, {SIDE}, {SIDE}], not {images.dtype} {list(images.shape)}"
        )
    spoilt = np.empty_like(images)
    for start in range(0, len(images), AT_ONCE):
        part = images[start : start + AT_ONCE]
        pixels = part.astype(np.float32) / np.float32(255)
        changed = CORRUPTIONS[name](pixels, Draws(name, part, seed=seed))
        spoilt[start : start + AT_ONCE] = np.floor(255 * np.clip(changed, 0, 1) + np.float32(0.5))
    return spoilt
