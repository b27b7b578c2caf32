"""A window of images as means: what is told of each image once, every statistic is computed from.

Each image is coded as a row of indicators against quantiles of the reference; the mean of the rows
of a window then holds its empirical distribution functions, its tails and its class mix, and the
mean of random Fourier features its place in the embedding. So thousands of windows can be drawn
from coded images by one sparse product.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits.data.types import CLASSES
from digits.monitoring.signals import Signals
from digits.monitoring.strangeness import Strangeness

Floats = NDArray[np.float32]
Sums = NDArray[np.float64]

MIX, SOFTMAX, SHAPE, EMBEDDING, STRANGE = (
    "class_mix",
    "softmax",
    "shape",
    "embedding",
    "strangeness",
)
GRID = np.arange(1, 20) / 20  # at which distribution functions are compared
TAILS = np.array([0.5, 0.25, 0.1, 0.05, 0.02, 0.01, 0.005])  # shares above, of the reference
FEATURES = 64  # frequencies of the embedding
AXES = 16  # of the embedding, the longest ones


@dataclass(frozen=True)
class Coding:
    """Made from the reference; turns signals into coded images, and means into statistics.

    Attributes:
        quantiles: block -> thresholds ``[D, K]``.
        frequencies: ``[E, 64]`` of the embedding; None where there is none.
        strangeness: all scores in one.
        blocks: statistic -> its columns.
        centre: mean of the coded reference, ``[M]``.
    """

    quantiles: Mapping[str, Floats]
    frequencies: Floats | None
    strangeness: Strangeness
    blocks: Mapping[str, slice]
    centre: Floats

    @classmethod
    def of(cls, reference: Signals) -> Coding:
        """Fit the thresholds to the reference."""
        quantiles = {SOFTMAX: _quantiles(reference.probabilities, GRID)}
        frequencies = None
        if reference.shape is not None:
            quantiles[SHAPE] = _quantiles(reference.shape, GRID)
        for name, values in reference.scores.items():
            quantiles[name] = _quantiles(values[:, None], 1 - TAILS)
        if reference.embedding is not None:
            frequencies = _frequencies(reference.embedding)
        strangeness = Strangeness.of(reference)
        quantiles[STRANGE] = _quantiles(strangeness(reference)[:, None], 1 - TAILS)
        draft = cls(quantiles, frequencies, strangeness, {}, np.zeros(0, np.float32))
        parts = draft._parts(reference)
        ends = np.cumsum([part.shape[1] for part in parts.values()])
        blocks = {
            name: slice(int(end) - part.shape[1], int(end))
            for (name, part), end in zip(parts.items(), ends, strict=True)
        }
        centre = np.concatenate([part.mean(0) for part in parts.values()])
        return cls(quantiles, frequencies, strangeness, blocks, centre)

    def code(self, signals: Signals) -> Floats:
        """Return coded images float32 ``[N, M]``."""
        return np.concatenate(list(self._parts(signals).values()), axis=1)

    def statistics(self, means: Sums, count: int) -> dict[str, Sums]:
        """Return each statistic ``[B]`` of windows of ``count`` images with means ``[B, M]``."""
        found = {}
        for name, columns in self.blocks.items():
            mean, centre = means[:, columns], self.centre[columns]
            found[name] = _statistic(name)(mean, centre, count)
        return found

    def _parts(self, signals: Signals) -> dict[str, Floats]:
        answers = signals.probabilities.argmax(1)
        parts = {MIX: np.eye(CLASSES, dtype=np.float32)[answers]}
        parts[SOFTMAX] = _below(signals.probabilities, self.quantiles[SOFTMAX])
        if signals.shape is not None:
            parts[SHAPE] = _below(signals.shape, self.quantiles[SHAPE])
        if signals.embedding is not None and self.frequencies is not None:
            angles = signals.embedding[:, :AXES] @ self.frequencies
            parts[EMBEDDING] = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
        for name, values in signals.scores.items():
            parts[name] = 1 - _below(values[:, None], self.quantiles[name])
        parts[STRANGE] = 1 - _below(self.strangeness(signals)[:, None], self.quantiles[STRANGE])
        return parts


def _quantiles(values: Floats, levels: NDArray[Any]) -> Floats:
    found: Floats = np.quantile(values, levels, axis=0).T.astype(np.float32)
    return found


def _below(values: Floats, thresholds: Floats) -> Floats:
    """Tell which values ``[N, D]`` are not above thresholds ``[D, K]``, float32 ``[N, D K]``."""
    return (values[:, :, None] <= thresholds).reshape(len(values), -1).astype(np.float32)


def _frequencies(embedding: Floats) -> Floats:
    """Draw the frequencies of a Gaussian kernel as wide as the median distance (Rahimi & Recht
    2007)."""
    random = np.random.default_rng(0)
    places = embedding[:, :AXES]
    one, other = random.integers(len(places), size=(2, 2000))
    width = np.median(np.linalg.norm(places[one] - places[other], axis=1)) or 1.0
    drawn: Floats = (random.normal(size=(places.shape[1], FEATURES)) / width).astype(np.float32)
    return drawn


def _statistic(name: str) -> Any:
    return {MIX: _mix, SOFTMAX: _sup, SHAPE: _sup, EMBEDDING: _mmd}.get(name, _tail)


def _mix(means: Sums, centre: Floats, count: int) -> Sums:
    """Pearson's statistic of the predicted digits, half a digit added to each."""
    expected = (count * centre + 0.5) / (count + 5)
    seen = (count * means + 0.5) / (count + 5)
    found: Sums = count * (np.square(seen - expected) / expected).sum(1)
    return found


def _sup(means: Sums, centre: Floats, count: int) -> Sums:
    """Largest distance of two distribution functions, over all dimensions and the grid."""
    known = np.clip(centre, 0.02, 0.98)
    apart = np.abs(means - centre) / np.sqrt(known * (1 - known))
    found: Sums = np.sqrt(count) * apart.max(1)
    return found


def _mmd(means: Sums, centre: Floats, count: int) -> Sums:
    """Maximum mean discrepancy (Gretton et al. 2012) of random Fourier features."""
    found: Sums = count * np.square(means - centre).mean(1)
    return found


def _tail(means: Sums, centre: Floats, count: int) -> Sums:
    """Berk & Jones' statistic: how much more there is beyond a quantile than there should be."""
    expected = np.clip(centre, 1e-6, 1 - 1e-6)
    seen = np.clip(means, 1e-12, 1 - 1e-12)
    apart = seen * np.log(seen / expected) + (1 - seen) * np.log((1 - seen) / (1 - expected))
    found: Sums = count * np.where(seen > expected, apart, 0).max(1)
    return found
