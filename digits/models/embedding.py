"""Few numbers for many: features on the axes along which they differ most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import eigh
from torch import Tensor


@dataclass(frozen=True)
class Axes:
    """The principal axes of a set of features: distances along them are nearly the whole ones.

    Attributes:
        mean: float32 ``[D]``.
        directions: orthonormal columns, float32 ``[D, E]``.
    """

    mean: Tensor
    directions: Tensor

    @classmethod
    def of(cls, features: NDArray[np.float32], most: int) -> Axes:
        """Find at most ``most`` axes of features ``[N, D]``, the longest first."""
        mean = features.mean(axis=0)
        centred = features - mean
        count = min(most, *centred.shape)
        # Of the two matrices that have the same axes, the smaller one.
        if len(centred) < centred.shape[1]:
            values, vectors = eigh(
                centred @ centred.T, subset_by_index=(len(centred) - count, len(centred) - 1)
            )
            kept = values > values[-1] * 1e-6
            directions = centred.T @ (vectors[:, kept] / np.sqrt(values[kept]))
        else:
            side = centred.shape[1]
            directions = eigh(centred.T @ centred, subset_by_index=(side - count, side - 1))[1]
        longest_first = np.ascontiguousarray(directions[:, ::-1], dtype=np.float32)
        return cls(torch.from_numpy(mean), torch.from_numpy(longest_first))

    def project(self, features: Tensor) -> Tensor:
        """Return the places float32 ``[N, E]`` of features ``[N, D]`` along the axes."""
        return (features - self.mean) @ self.directions
