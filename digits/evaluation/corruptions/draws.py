"""Random numbers for each image of a batch that hang on that image alone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Draws:
    """One generator per image, seeded by a digest of the seed, a name and the image's pixels.

    So an image draws the same numbers wherever it stands in a batch and however the batch is cut;
    equal images draw equal numbers. The generators are made when the first number is drawn.

    Args:
        name: of what draws: two names draw independent numbers.
        images: uint8 ``[N, H, W]``.
        seed: any whole number.
    """

    def __init__(self, name: str, images: NDArray[np.uint8], *, seed: int) -> None:
        self._name = name
        self._images = images
        self._seed = seed

    def of(self, part: slice) -> Draws:
        """Return the draws of some of the images alone."""
        return Draws(self._name, self._images[part], seed=self._seed)

    def __len__(self) -> int:
        return len(self._images)

    @cached_property
    def _generators(self) -> list[np.random.Generator]:
        salt = f"{self._name} {self._seed}:".encode()
        digests = (
            hashlib.blake2b(salt + image.tobytes(), digest_size=16).digest()
            for image in self._images
        )
        return [np.random.default_rng(int.from_bytes(digest, "little")) for digest in digests]

    def _stack(
        self, draw: Callable[[np.random.Generator], NDArray[Any]], shape: tuple[int, ...], kind: Any
    ) -> NDArray[Any]:
        drawn = np.empty((len(self), *shape), kind)
        for place, generator in zip(drawn, self._generators, strict=True):
            place[...] = draw(generator)
        return drawn

    def uniform(self, *shape: int) -> NDArray[np.float32]:
        """Return float32 ``[N, *shape]`` in 0..1, 1 excluded."""
        return self._stack(lambda one: one.random(shape, np.float32), shape, np.float32)

    def normal(self, *shape: int) -> NDArray[np.float32]:
        """Return float32 ``[N, *shape]`` of mean 0 and standard deviation 1."""
        return self._stack(lambda one: one.standard_normal(shape, np.float32), shape, np.float32)

    def integers(self, low: int, high: int, *shape: int) -> NDArray[np.int64]:
        """Return int64 ``[N, *shape]`` from ``low`` to ``high``, both included."""
        return self._stack(lambda one: one.integers(low, high + 1, shape), shape, np.int64)

    def signs(self, *shape: int) -> NDArray[np.int64]:
        """Return int64 ``[N, *shape]``: -1 or 1, as often one as the other."""
        return 2 * self.integers(0, 1, *shape) - 1
