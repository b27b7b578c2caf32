"""How far a sample lies from those that a model has learned from, in three ways.

Each is fitted to training samples ``[M, D]`` and gives a distance float32 ``[N]`` for samples
``[N, D]``, larger for what is stranger.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

Floats = NDArray[np.float32]

NEAREST = 5
CHUNK = 1000  # samples whose distances to all are in memory at once
KEPT = 0.9  # of the variance of pixels lies in the subspace


@dataclass(frozen=True)
class Nearest:
    """Mean distance to the five nearest training samples (Sun et al. 2022, "Out-of-Distribution
    Detection with Deep Nearest Neighbors")."""

    known: Floats

    def __call__(self, samples: Floats) -> Floats:
        """See the module."""
        squares = np.square(self.known).sum(1)
        count = min(NEAREST, len(self.known))
        found = []
        for start in range(0, len(samples), CHUNK):
            part = samples[start : start + CHUNK]
            apart = squares - 2 * part @ self.known.T + np.square(part).sum(1, keepdims=True)
            nearest = np.partition(apart, count - 1, axis=1)[:, :count]
            found.append(np.sqrt(np.maximum(nearest, 0)).mean(1))
        return np.concatenate([np.zeros(0, np.float32), *found])


@dataclass(frozen=True)
class Spread:
    """Mahalanobis' distance from the mean, by a covariance that is drawn a little to its diagonal.

    Attributes:
        mean: ``[D]``.
        whitening: ``[D, D]``; differences from the mean times this have the distance as length.
    """

    mean: Floats
    whitening: Floats

    @classmethod
    def of(cls, known: Floats, *, shrinkage: float = 0.1) -> Self:
        """Fit; a feature that never changes counts as one that hardly does."""
        mean = known.mean(0, dtype=np.float64)
        scale = np.maximum(known.std(0, dtype=np.float64), 1e-3)
        standard = (known - mean) / scale
        covariance = standard.T @ standard / len(known)
        diagonal = np.diag(np.maximum(np.diag(covariance), 1e-2))
        values, vectors = eigh((1 - shrinkage) * covariance + shrinkage * diagonal)
        whitening = vectors / np.sqrt(values) / scale[:, None]
        return cls(mean.astype(np.float32), whitening.astype(np.float32))

    def __call__(self, samples: Floats) -> Floats:
        """See the module."""
        distances: Floats = np.sqrt(np.square((samples - self.mean) @ self.whitening).sum(1))
        return distances


@dataclass(frozen=True)
class Subspace:
    """What of a sample the principal axes of the training samples leave over.

    Attributes:
        mean: ``[D]``.
        axes: orthonormal columns, ``[D, K]``.
    """

    mean: Floats
    axes: Floats

    @classmethod
    def of(cls, known: Floats) -> Self:
        """Fit: as many axes as hold nine tenths of the variance."""
        mean = known.mean(0)
        centred = known - mean
        values, vectors = eigh(centred.T @ centred)
        share = np.cumsum(values[::-1]) / max(values.sum(), 1e-12)
        count = int(np.searchsorted(share, KEPT)) + 1
        return cls(mean, np.ascontiguousarray(vectors[:, ::-1][:, :count]))

    def __call__(self, samples: Floats) -> Floats:
        """See the module."""
        centred = samples - self.mean
        left = np.square(centred).sum(1) - np.square(centred @ self.axes).sum(1)
        distances: Floats = np.sqrt(np.maximum(left, 0))
        return distances
