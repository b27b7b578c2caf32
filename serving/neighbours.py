"""Training digits that are like an image to the model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A training digit.

    Attributes:
        label: 0..9.
        image: uint8 ``[28, 28]``.
        distance: to the image asked for, Euclidean, between embeddings.
    """

    label: int
    image: NDArray[np.uint8]
    distance: float


class Neighbours:
    """Some hundred training digits and where the model's embedding puts them.

    Args:
        file: a bundle's ``neighbours.npz`` (see :mod:`digits.contract.manifest`).
    """

    def __init__(self, file: Path) -> None:
        with np.load(file, allow_pickle=False) as stored:
            self._images: NDArray[np.uint8] = stored["images"]
            self._labels: NDArray[np.int64] = stored["labels"]
            self._embeddings: NDArray[np.float32] = stored["embeddings"]

    def nearest(self, embedding: NDArray[np.float32], count: int) -> list[Neighbour]:
        """Return the ``count`` digits nearest to an embedding ``[E]``, the nearest first."""
        distances = np.linalg.norm(self._embeddings - embedding, axis=1)
        order = np.argsort(distances, kind="stable")[:count]
        return [
            Neighbour(int(self._labels[place]), self._images[place], float(distances[place]))
            for place in order
        ]
