"""What a model gains by not answering when it is not sure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Abstention:
    """Accuracy against coverage: answers are given from the most confident one downwards.

    Attributes:
        thresholds: confidence from which answers are given, falling, float64 ``[K]``.
        coverage: share of all images that is answered then, in 0..1, rising to 1, ``[K]``.
        accuracy: share of the answers given that is right, in 0..1, ``[K]``.
    """

    thresholds: NDArray[np.float64]
    coverage: NDArray[np.float64]
    accuracy: NDArray[np.float64]

    @property
    def risk_area(self) -> float:
        """Mean error over all coverages, in 0..1; 0 is perfect (El-Yaniv & Wiener 2010)."""
        steps = np.diff(self.coverage, prepend=0.0)
        return float(((1 - self.accuracy) * steps).sum())

    def reaching(self, accuracy: float) -> tuple[float, float] | None:
        """Return the largest (coverage, threshold) at which ``accuracy`` is reached, if any is."""
        enough = np.flatnonzero(self.accuracy >= accuracy)
        if not len(enough):
            return None
        return float(self.coverage[enough[-1]]), float(self.thresholds[enough[-1]])


def abstention(confidence: NDArray[np.float64], correct: NDArray[np.bool_]) -> Abstention:
    """Order N answers by confidence; those of equal confidence are given together.

    Args:
        confidence: probability of each answer, ``[N]``, N above 0.
        correct: whether the answer was right, ``[N]``.
    """
    order = np.argsort(-confidence, kind="stable")
    falling = confidence[order]
    ends = np.flatnonzero(np.append(np.diff(falling) < 0, True))
    given = ends + 1
    return Abstention(
        thresholds=falling[ends],
        coverage=given / len(confidence),
        accuracy=np.cumsum(correct[order])[ends] / given,
    )
