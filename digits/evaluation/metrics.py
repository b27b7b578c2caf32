"""Numbers of a classifier on one split, from its logits alone."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from digits.errors import DataError
from digits.evaluation.calibration import reliability

CLASSES = 10
Z95 = 1.959963984540054  # standard normal quantile of a two-sided 95 % interval


@dataclass(frozen=True)
class Report:
    """How a classifier did on ``count`` digits.

    Attributes:
        count: digits judged.
        accuracy: share of right answers; ``low`` and ``high`` bound it with 95 % confidence.
        loss: mean negative log-likelihood, in nats.
        calibration_error: expected calibration error in 0..1.
        macro_f1: mean of the classes' F1 scores, over the classes present.
        confusion: counts, int64 ``[10, 10]``, row = true class, column = answer.
    """

    count: int
    accuracy: float
    low: float
    high: float
    loss: float
    calibration_error: float
    macro_f1: float
    confusion: NDArray[np.int64]

    def metrics(self, prefix: str) -> dict[str, float]:
        """Return the scalars under ``prefix/``, as they are tracked."""
        return {
            f"{prefix}/accuracy": self.accuracy,
            f"{prefix}/accuracy_low": self.low,
            f"{prefix}/accuracy_high": self.high,
            f"{prefix}/loss": self.loss,
            f"{prefix}/calibration_error": self.calibration_error,
            f"{prefix}/macro_f1": self.macro_f1,
        }


def report(logits: NDArray[np.float32] | NDArray[np.float64], labels: NDArray[np.int64]) -> Report:
    """Judge logits float ``[N, 10]`` against labels int64 ``[N]``.

    Raises:
        DataError: there is nothing to judge, or a logit is not finite.
    """
    if not len(labels):
        raise DataError("an empty split cannot be evaluated")
    if not np.isfinite(logits).all():
        raise DataError("the network answers with NaN or infinity: the training has diverged")
    log_probabilities = log_softmax(logits.astype(np.float64), axis=1)
    answers = logits.argmax(1)
    correct = answers == labels
    low, high = wilson_interval(int(correct.sum()), len(labels))
    confusion = np.zeros((CLASSES, CLASSES), dtype=np.int64)
    np.add.at(confusion, (labels, answers), 1)
    return Report(
        count=len(labels),
        accuracy=float(correct.mean()),
        low=low,
        high=high,
        loss=float(-log_probabilities[np.arange(len(labels)), labels].mean()),
        calibration_error=reliability(np.exp(log_probabilities.max(1)), correct).error,
        macro_f1=macro_f1(confusion),
        confusion=confusion,
    )


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """Return the 95 % score interval of a proportion (Wilson 1927).

    Unlike the normal approximation it stays inside 0..1 and is honest near 100 %.
    """
    share = successes / trials
    centre = share + Z95**2 / (2 * trials)
    half = Z95 * sqrt(share * (1 - share) / trials + Z95**2 / (4 * trials**2))
    scale = 1 + Z95**2 / trials
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def macro_f1(confusion: NDArray[np.int64]) -> float:
    """Return the unweighted mean F1 over the classes that occur as truth or answer."""
    hits = np.diag(confusion)
    total = confusion.sum(0) + confusion.sum(1)
    present = total > 0
    return float((2 * hits[present] / total[present]).mean())


@dataclass(frozen=True)
class ClassScore:
    """How one class fared, shares in 0..1.

    Attributes:
        label: the class.
        count: digits of it.
        precision: share right of the answers that name it; None where none does.
        recall: share of its digits that are read as it; None where there is none.
        f1: harmonic mean of the two; None where it is neither truth nor answer.
    """

    label: int
    count: int
    precision: float | None
    recall: float | None
    f1: float | None


def per_class(confusion: NDArray[np.int64]) -> list[ClassScore]:
    """Return the scores of each class from counts int64 ``[10, 10]`` (row = truth)."""
    counts, answers, hits = confusion.sum(1), confusion.sum(0), np.diag(confusion)
    return [
        ClassScore(
            label=label,
            count=int(counts[label]),
            precision=_share(hits[label], answers[label]),
            recall=_share(hits[label], counts[label]),
            f1=_share(2 * hits[label], counts[label] + answers[label]),
        )
        for label in range(CLASSES)
    ]


def _share(part: np.int64, whole: np.int64) -> float | None:
    return float(part / whole) if whole else None
