"""Acquisition that scores each sample by itself and takes the best ones."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field
from scipy.special import entr

from digits.active.acquisition import Acquisition, Need, greatest
from digits.active.geometry import furthest
from digits.active.pool import Floats, Scored, Selection


class Pointwise(Acquisition):
    """Takes the samples of the greatest scores.

    Args:
        shortlist: samples on a list of the best for each one that is taken; those taken are
            furthest apart in their embeddings, so that a batch is no row of near copies. With 1
            they are just the best. A list in the spirit of Zhdanov 2019, "Diverse mini-batch
            active learning".
    """

    def __init__(self, shortlist: Annotated[int, Field(ge=1)] = 1) -> None:
        self.shortlist = shortlist
        if shortlist > 1:
            self.needs = self.needs | {"embeddings"}

    @abstractmethod
    def scores(self, pool: Scored) -> Floats:
        """Score each sample of the pool, float32 ``[N]``."""

    def _choose(self, pool: Scored, count: int, generator: np.random.Generator) -> Selection:
        scores = self.scores(pool).astype(np.float32, copy=False)
        chosen = greatest(scores, count * self.shortlist, generator)
        if self.shortlist > 1 and count > 1:
            assert pool.embeddings is not None
            listed, best = chosen, chosen[:1]
            places = pool.embeddings[listed[1:]]
            spread = furthest(places, count - 1, centres=pool.embeddings[best], generator=generator)
            chosen = np.concatenate([best, listed[1:][spread.indices]])
        return Selection(chosen, scores[chosen])


class Random(Acquisition):
    """Any samples: what every other method has to beat."""

    name: ClassVar[str] = "random"

    def _choose(self, pool: Scored, count: int, generator: np.random.Generator) -> Selection:
        scores = generator.random(len(pool), dtype=np.float32)
        chosen = greatest(scores, count, generator)
        return Selection(chosen, scores[chosen])


class LeastConfidence(Pointwise):
    """Those whose likeliest class is least likely: 1 minus its probability, 0..0.9.

    Lewis and Gale 1994, "A sequential algorithm for training text classifiers".
    """

    name: ClassVar[str] = "least_confidence"

    def scores(self, pool: Scored) -> Floats:
        """See :class:`Pointwise`."""
        return 1 - pool.probabilities.max(axis=1)


class Margin(Pointwise):
    """Those whose two likeliest classes are closest: 1 minus the difference, 0..1.

    Scheffer, Decomain and Wrobel 2001, "Active hidden Markov models for information extraction".
    """

    name: ClassVar[str] = "margin"

    def scores(self, pool: Scored) -> Floats:
        """See :class:`Pointwise`."""
        second, first = np.partition(pool.probabilities, (-2, -1), axis=1)[:, -2:].T
        return 1 - (first - second)


class Entropy(Pointwise):
    """Those whose classes are most evenly likely: the entropy in nats, 0..log 10.

    Shannon 1948, "A mathematical theory of communication", section 6.
    """

    name: ClassVar[str] = "entropy"

    def scores(self, pool: Scored) -> Floats:
        """See :class:`Pointwise`."""
        entropies: Floats = entr(pool.probabilities).sum(axis=1)
        return entropies


class VariationRatios(Pointwise):
    """Those on which most draws vote against the majority: the share of them, 0..0.9.

    Freeman 1965, "Elementary applied statistics", for draws of networks as in Gal 2016,
    "Uncertainty in deep learning", section 3.3.1.
    """

    name: ClassVar[str] = "variation_ratios"
    needs: frozenset[Need] = frozenset({"draws"})

    def scores(self, pool: Scored) -> Floats:
        """See :class:`Pointwise`."""
        assert pool.draws is not None
        count, draws, classes = pool.draws.shape
        votes = pool.draws.argmax(axis=2) + classes * np.arange(count)[:, None]
        tally = np.bincount(votes.ravel(), minlength=count * classes).reshape(count, classes)
        return (1 - tally.max(axis=1) / draws).astype(np.float32)
