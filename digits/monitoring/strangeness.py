"""One number for how strange an image is, from all scores together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from digits.monitoring.signals import Signals

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Strangeness:
    """Minus the log of the share of the reference that is as strange, the mean over all scores.

    Fisher's way to combine (1925): about 1 on average for images of the reference's kind.

    Attributes:
        ranks: score -> its values in the reference, rising, ``[R]``.
        known: strangeness of the reference itself, rising, ``[R]``.
    """

    ranks: Mapping[str, Floats]
    known: Floats

    @classmethod
    def of(cls, reference: Signals) -> Self:
        """Fit to the signals of the reference."""
        ranks = {name: np.sort(values) for name, values in reference.scores.items()}
        return cls(ranks, np.sort(_combined(ranks, reference)))

    def __call__(self, signals: Signals) -> Floats:
        """Return float32 ``[N]``."""
        return _combined(self.ranks, signals)

    def foreign(self, strange: Floats) -> NDArray[np.float64]:
        """Return how likely each image of a window is none of the reference's kind, in 0..1.

        A local false discovery rate by tails (Efron 2004): of the images at least this strange, the
        share beyond what there would be in a window of the reference's kind, and beyond two
        standard deviations of that.

        Args:
            strange: of all images of the window, ``[N]``.
        """
        count = len(strange)
        expected = beyond(self.known, strange) * count
        seen = beyond(np.sort(strange), strange) * count
        share: NDArray[np.float64] = 1 - (expected + 2 * np.sqrt(expected) + 1) / seen
        return np.clip(share, 0, 1)


def beyond(known: Floats, values: Floats) -> NDArray[np.float64]:
    """Return the share of ``known`` ``[R]``, which rises, that is at least each of ``[N]``."""
    above = len(known) - np.searchsorted(known, values, side="left")
    share: NDArray[np.float64] = above / len(known)
    return share


def _combined(ranks: Mapping[str, Floats], signals: Signals) -> Floats:
    total = np.zeros(len(signals))
    for name, known in ranks.items():
        share = beyond(known, signals.scores[name])
        total -= np.log((share * len(known) + 1) / (len(known) + 1))
    return (total / len(ranks)).astype(np.float32)
