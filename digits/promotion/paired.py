"""Comparing two models on the same images: noise, or a real difference?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

CHUNK = 100  # resamples at once: memory stays small with 10,000 images

#: weights of the images float32 ``[B, N]`` -> name -> value of each row ``[B]``
Figures = Callable[[NDArray[np.float32]], Mapping[str, NDArray[np.float64]]]


@dataclass(frozen=True)
class McNemar:
    """Images on which one model alone is right (McNemar 1947), and the exact test of them.

    Attributes:
        gained: images that only the challenger reads right.
        lost: images that only the champion reads right.
        p_value: two-sided: how often two equally good models would differ by this much.
    """

    gained: int
    lost: int
    p_value: float


def mcnemar(ours: NDArray[np.bool_], theirs: NDArray[np.bool_]) -> McNemar:
    """Compare which answers are right, ``[N]`` each, for the challenger and the champion."""
    gained, lost = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
    differing = gained + lost
    p_value = float(binomtest(gained, differing, 0.5).pvalue) if differing else 1.0
    return McNemar(gained, lost, p_value)


@dataclass(frozen=True)
class Difference:
    """Challenger minus champion on the same images, with the interval of the paired bootstrap."""

    value: float
    low: float
    high: float


def bootstrap(
    ours: Figures, theirs: Figures, count: int, *, resamples: int, confidence: float, seed: int
) -> dict[str, Difference]:
    """Return the difference of every figure of two models.

    Both are computed on the same resamples of the images, so that what the images have in common
    drops out (percentile interval: Efron and Tibshirani 1993, "An Introduction to the Bootstrap",
    chapter 13).

    Args:
        ours, theirs: figures of the challenger and of the champion.
        count: number of images.
        resamples: how often the images are drawn anew.
        confidence: that the interval covers the difference, in 0..1.
        seed: of the draws.
    """
    whole = np.ones((1, count), np.float32)
    here, there = ours(whole), theirs(whole)
    drawn: dict[str, list[NDArray[np.float64]]] = {name: [] for name in here}
    for weights in _resampled(count, resamples, seed):
        new, old = ours(weights), theirs(weights)
        for name, parts in drawn.items():
            parts.append(new[name] - old[name])
    tail = (1 - confidence) / 2
    differences = {}
    for name, parts in drawn.items():
        low, high = np.quantile(np.concatenate(parts), [tail, 1 - tail])
        differences[name] = Difference(float(here[name][0] - there[name][0]), low, high)
    return differences


def _resampled(count: int, resamples: int, seed: int) -> Iterator[NDArray[np.float32]]:
    random = np.random.default_rng(seed)
    for start in range(0, resamples, CHUNK):
        rows = min(CHUNK, resamples - start)
        drawn = (random.integers(0, count, count) for _ in range(rows))
        yield np.stack([np.bincount(each, minlength=count) for each in drawn]).astype(np.float32)
