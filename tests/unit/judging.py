"""Models as the gate sees them, made of which answers are right."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from digits.promotion.gate import Gate
from digits.promotion.measured import Measured

LOOSE = {
    "significance": 0.05,
    "resamples": 400,
    "min_accuracy": None,
    "max_accuracy_loss": 0.01,
    "min_worst_class": None,
    "max_worst_class_loss": 0.05,
    "max_calibration_error": None,
    "max_calibration_error_rise": 0.01,
    "min_mean_corruption": None,
    "max_mean_corruption_loss": 0.01,
    "min_worst_corruption": None,
    "max_worst_corruption_loss": 0.02,
    "max_latency_ms": None,
    "max_latency_ratio": 1.5,
    "latency_slack_ms": 0.5,
    "max_size_mb": None,
    "max_size_ratio": 2.0,
    "size_slack_mb": 0.1,
    "max_explanation_similarity": None,
    "max_explanation_similarity_rise": 0.1,
}


def gate(**limits):
    """A gate whose limits are against the champion only, unless said otherwise."""
    return Gate(**(LOOSE | limits))


def measured(
    right: NDArray[np.bool_],
    *,
    labels: NDArray[np.int64] | None = None,
    sure: float = 5.0,
    corrupted: dict[str, NDArray[np.bool_]] | None = None,
    seconds: float = 0.001,
    onnx_bytes: int = 100_000,
    sanity: float | None = 0.2,
) -> Measured:
    """A model that is right on these of N digits, and ``sure`` (a logit) of every answer."""
    labels = np.arange(len(right)) % 10 if labels is None else labels
    answers = np.where(right, labels, (labels + 1) % 10)
    logits = np.zeros((len(right), 10), np.float32)
    logits[np.arange(len(right)), answers] = sure
    return Measured(
        name="model",
        labels=labels,
        logits=logits,
        temperature=1.0,
        corrupted=corrupted or {"fog": right, "blur": right},
        round_seconds=np.array([seconds, 3 * seconds]),
        onnx_bytes=onnx_bytes,
        sanity=sanity,
    )


def pair_of(count, *, wrong_both=0, gained=0, lost=0):
    """Challenger and champion on ``count`` digits, by who alone is right on how many."""
    ours, theirs = np.ones(count, bool), np.ones(count, bool)
    ours[:lost] = False
    theirs[lost : lost + gained] = False
    both = slice(lost + gained, lost + gained + wrong_both)
    ours[both] = theirs[both] = False
    return ours, theirs
