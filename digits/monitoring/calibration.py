"""How large a statistic grows by chance: windows drawn from clean images alone.

What comes out is a share of clean windows, for each statistic, and then for the whole verdict: the
least of these shares is itself held against what it is in clean windows (Westfall & Young 1993,
minP). So the false-alarm budget holds for all the statistics together, however they hang together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from digits.errors import DataError
from digits.monitoring.coding import Coding
from digits.monitoring.signals import Signals

Floats = NDArray[np.float32]
Sums = NDArray[np.float64]

WINDOWS = 4000
CUTS = 40
SIZES = (20, 50, 100, 200, 500, 1000)  # images of a window
LEAST = 200  # images of a reference


@dataclass(frozen=True)
class Null:
    """What clean windows of one size come to.

    Attributes:
        count: images of a window.
        statistics: name -> value in each clean window, rising, ``[B]``.
        least: the least share over all statistics in each clean window, rising, ``[B]``.
    """

    count: int
    statistics: Mapping[str, Sums]
    least: Sums

    @classmethod
    def of(cls, drawn: Mapping[str, Sums], count: int) -> Null:
        """Make it from the statistics of the same clean windows, each ``[B]``."""
        shares = [_share(np.sort(values), values) for values in drawn.values()]
        return cls(
            count,
            {name: np.sort(values) for name, values in drawn.items()},
            np.sort(np.min(shares, axis=0)),
        )

    def shares(self, found: Mapping[str, Sums]) -> dict[str, Sums]:
        """Return for each statistic ``[W]`` the share of clean windows with one as large."""
        return {name: _share(self.statistics[name], values) for name, values in found.items()}

    def verdict(self, shares: Mapping[str, Sums]) -> Sums:
        """Return the share ``[W]`` of clean windows whose least share is as small."""
        least = np.min(list(shares.values()), axis=0)
        share: Sums = (np.searchsorted(self.least, least, side="right") + 1) / (len(self.least) + 1)
        return share


def _share(known: Sums, values: Sums) -> Sums:
    above = len(known) - np.searchsorted(known, values, side="left")
    share: Sums = (above + 1) / (len(known) + 1)
    return share


def calibrate(reference: Signals, sizes: Sequence[int] = SIZES, *, seed: int = 0) -> list[Null]:
    """Find what clean windows come to, for several sizes of a window.

    Time and again the reference is cut in two: one half plays the reference, windows are drawn from
    the other. So what is not known of the reference itself, above all of its tails, is part of what
    happens by chance.

    Args:
        reference: signals of clean images that the model has not learned from.
        sizes: images of a window.
        seed: of the cuts and the windows.

    Raises:
        DataError: there are too few images.
    """
    if len(reference) < LEAST:
        raise DataError(
            f"a reference needs {LEAST} held-out images or more, there are {len(reference)}: "
            f"choose data with a larger test split"
        )
    random = np.random.default_rng(seed)
    drawn: dict[int, list[dict[str, Sums]]] = {count: [] for count in sizes}
    for _ in range(CUTS):
        order = random.permutation(len(reference))
        half = len(order) // 2
        coding = Coding.of(reference.take(order[:half]))
        coded = coding.code(reference.take(order[half:]))
        for count, found in drawn.items():
            means = drawn_means(coded, count, windows=WINDOWS // CUTS, random=random)
            found.append(coding.statistics(means, count))
    return [
        Null.of({name: np.concatenate([each[name] for each in found]) for name in found[0]}, count)
        for count, found in drawn.items()
    ]


def drawn_means(coded: Floats, count: int, *, windows: int, random: np.random.Generator) -> Sums:
    """Return coded means float64 ``[B, M]`` of windows drawn from coded images ``[N, M]``."""
    chosen = random.integers(len(coded), size=(windows, count))
    ends = np.arange(windows + 1) * count
    weights = np.full(chosen.size, 1 / count, np.float32)
    draw = csr_array((weights, chosen.ravel(), ends), shape=(windows, len(coded)))
    means: Sums = (draw @ coded).astype(np.float64)
    return means
