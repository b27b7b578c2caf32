"""Acquisition that scores each sample by itself and takes the best ones."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np

from digits.active.acquisition import Acquisition, greatest
from digits.active.pool import Floats, Scored, Selection


class Pointwise(Acquisition):
    """Takes the samples of the greatest scores."""

    @abstractmethod
    def scores(self, pool: Scored) -> Floats:
        """Score each sample of the pool, float32 ``[N]``."""

    def _choose(self, pool: Scored, count: int, generator: np.random.Generator) -> Selection:
        scores = self.scores(pool).astype(np.float32, copy=False)
        chosen = greatest(scores, count, generator)
        return Selection(chosen, scores[chosen])


class Random(Acquisition):
    """Any samples: what every other method has to beat."""

    name: ClassVar[str] = "random"

    def _choose(self, pool: Scored, count: int, generator: np.random.Generator) -> Selection:
        scores = generator.random(len(pool), dtype=np.float32)
        chosen = greatest(scores, count, generator)
        return Selection(chosen, scores[chosen])


class Margin(Pointwise):
    """Those whose two likeliest classes are closest: 1 minus the difference, 0..1.

    Scheffer, Decomain and Wrobel 2001, "Active hidden Markov models for information extraction".
    """

    name: ClassVar[str] = "margin"

    def scores(self, pool: Scored) -> Floats:
        """See :class:`Pointwise`."""
        second, first = np.partition(pool.probabilities, (-2, -1), axis=1)[:, -2:].T
        return 1 - (first - second)
