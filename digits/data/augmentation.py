"""Albumentations pipelines: a named mapping of steps, drawn afresh for every sample and epoch."""

from __future__ import annotations

import hashlib
import random
import struct
from collections.abc import Mapping, Sequence

import albumentations
import cv2
import numpy as np
from numpy.typing import NDArray

# Loader workers already use every core; OpenCV's own pool only adds contention.
cv2.setNumThreads(0)


class Augmentation:
    """Apply ``steps`` in order, each sample with draws of its own.

    What a sample gets depends on its key alone, never on the worker that happens to serve it:
    left to themselves, Albumentations' copies in several loader workers all draw the same.

    Args:
        steps: name -> transform, in the order of application; empty for no augmentation.
    """

    def __init__(self, steps: Mapping[str, albumentations.BasicTransform]) -> None:
        self.steps = dict(steps)
        self._draws = _Draws()

    def __call__(
        self, images: NDArray[np.uint8], keys: Sequence[tuple[int, ...]]
    ) -> NDArray[np.uint8]:
        """Augment images uint8 ``[N, 28, 28]``; same shape and dtype.

        Args:
            images: the batch.
            keys: for each image what its draws derive from: (seed, epoch, index).
        """
        if not self.steps:
            return images
        return np.stack([self._one(image, key) for image, key in zip(images, keys, strict=True)])

    def _one(self, image: NDArray[np.uint8], key: tuple[int, ...]) -> NDArray[np.uint8]:
        for place, step in enumerate(self.steps.values()):
            # A stream of its own for each step: one shared seed would tie rotation to elasticity.
            self._draws.seed((*key, place))
            step.set_random_state(self._draws.numpy, self._draws.python)
            image = step(image=image)["image"]
        return image


class _Draws:
    """The two generators that a transform draws from, set anew for each key.

    Both states are written from one hash: to make new generators takes three times as long, and
    then a quarter of the time of a small affine warp goes into seeding.
    """

    def __init__(self) -> None:
        self.numpy = np.random.Generator(np.random.PCG64())
        self.python = random.Random()

    def seed(self, key: tuple[int, ...]) -> None:
        digest = hashlib.blake2b(struct.pack(f"<{len(key)}q", *key)).digest()
        seed, state, increment = (
            int.from_bytes(digest[start : start + 16], "little") for start in (0, 16, 32)
        )
        self.python.seed(seed)
        self.numpy.bit_generator.state = {
            "bit_generator": "PCG64",
            "state": {"state": state, "inc": increment | 1},  # PCG64 needs an odd one
            "has_uint32": 0,
            "uinteger": 0,
        }
