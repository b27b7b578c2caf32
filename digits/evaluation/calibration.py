"""Is a model as often right as it says? Reliability, and the one number that mends it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from digits.errors import DataError

BINS = 15
LOWEST, HIGHEST = 0.05, 20.0  # temperatures that are looked at


@dataclass(frozen=True)
class Reliability:
    """Confidence against accuracy over equal bins of confidence, arrays of length 15.

    Attributes:
        counts: answers whose confidence falls into each bin, int64.
        confidence: their mean confidence, in 0..1; NaN in an empty bin.
        accuracy: the share of them that is right, in 0..1; NaN in an empty bin.
    """

    counts: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]

    @property
    def error(self) -> float:
        """Expected calibration error in 0..1 (Guo et al. 2017, "On Calibration of Modern Neural
        Networks", eq. 3)."""
        gaps = np.abs(self.confidence - self.accuracy)[self.counts > 0]
        return float(gaps @ self.counts[self.counts > 0] / self.counts.sum())

    @property
    def largest_gap(self) -> float:
        """Maximum calibration error in 0..1: the gap of the worst bin (the same paper, eq. 5)."""
        return float(np.nanmax(np.abs(self.confidence - self.accuracy)))


def reliability(confidence: NDArray[np.float64], correct: NDArray[np.bool_]) -> Reliability:
    """Sort answers into 15 equal bins of confidence.

    Args:
        confidence: probability of each answer, ``[N]``, N above 0.
        correct: whether the answer was right, ``[N]``.
    """
    bins = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    some = np.where(counts > 0, counts, np.nan)
    return Reliability(
        counts=counts.astype(np.int64),
        confidence=np.bincount(bins, weights=confidence, minlength=BINS) / some,
        accuracy=np.bincount(bins, weights=correct.astype(float), minlength=BINS) / some,
    )


def fit_temperature(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Return the temperature that logits are to be divided by before the softmax.

    The one that minimises the negative log-likelihood (Guo et al. 2017, section 4.2) of targets
    drawn in by the rule of succession, as Platt 1999 ("Probabilistic Outputs for Support Vector
    Machines", section 2.2) does: the true class has ``(N + 1) / (N + 2)``, the others share the
    rest. Plain targets would make a model that is right on all N infinitely sure of itself.

    Args:
        logits: ``[N, 10]`` of a validation split, never of what the model is judged on.
        labels: int64 ``[N]``.

    Returns:
        Within 0.05..20: above 1 for a model that is too sure, below 1 for one that is not sure
        enough.

    Raises:
        DataError: there is nothing to fit on, or a logit is not finite.
    """
    if not len(labels):
        raise DataError("a temperature needs validation data: there is none")
    if not np.isfinite(logits).all():
        raise DataError("the network answers with NaN or infinity: the training has diverged")
    scores = logits.astype(np.float64)
    rest = 1 / (len(labels) + 2)
    others = scores.shape[1] - 1
    targets = np.full(scores.shape, rest / others)
    targets[np.arange(len(labels)), labels] = 1 - rest

    def loss(log_temperature: float) -> float:
        log_probabilities = log_softmax(scores / np.exp(log_temperature), axis=1)
        return float(-(targets * log_probabilities).sum(axis=1).mean())

    # The loss is convex in 1 / temperature, so a bounded search finds its one minimum.
    found = minimize_scalar(loss, bounds=(np.log(LOWEST), np.log(HIGHEST)), method="bounded")
    return float(np.exp(found.x))
