"""Acquisition by mutual information: samples on which the draws of a network disagree."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from digits.active.acquisition import Acquisition, Need, greatest
from digits.active.pointwise import Pointwise
from digits.active.pool import Floats, Scored, Selection

CHUNK = 64  # candidates whose joint probabilities are held at a time
NEGLIGIBLE = 1e-8  # probability of a combination of labels that is left out
TINY = np.float32(1e-30)  # has a logarithm, and adds nothing to an entropy


class Bald(Pointwise):
    """Those whose label would tell most of the network: mutual information in nats, 0..log 10.

    Houlsby et al. 2011, "Bayesian active learning for classification and preference learning",
    equation 2: the entropy of the mean draw less the mean entropy of the draws.
    """

    name: ClassVar[str] = "bald"
    needs: frozenset[Need] = frozenset({"draws"})

    def scores(self, pool: Scored) -> Floats:
        """See :class:`Pointwise`."""
        assert pool.draws is not None
        return information(pool.draws)


class BatchBald(Acquisition):
    """The batch whose labels together would tell most of the network.

    Kirsch, van Amersfoort and Gal 2019, "BatchBALD: efficient and diverse batch acquisition for
    deep Bayesian active learning", algorithm 1: greedily the sample that adds most to the joint
    mutual information, which is the score, in nats. What a sample adds can only shrink as a batch
    grows, so that only those that still could be the best are looked at again (Minoux 1978,
    "Accelerated greedy algorithms"): of those, for each sample taken, at most ``looks``.

    Args:
        combinations: of labels of those taken, up to which all are reckoned with (10,000: four
            samples of ten classes); beyond, as many are drawn from their joint distribution.
        looks: most candidates that are looked at for each sample taken. Fewer do, until the
            batch has told nearly all that there is to know; from then on any is as good.
    """

    name: ClassVar[str] = "batchbald"
    needs: frozenset[Need] = frozenset({"draws"})

    def __init__(
        self,
        combinations: Annotated[int, Field(ge=100)] = 10_000,
        looks: Annotated[int, Field(ge=1)] = 1_000,
    ) -> None:
        self.combinations = combinations
        self.looks = looks

    def _choose(self, pool: Scored, count: int, generator: np.random.Generator) -> Selection:
        assert pool.draws is not None
        draws = pool.draws
        gains = information(draws)  # each the most that a sample can still add
        noise = surprise(draws).sum(axis=2).mean(axis=1)
        batch = Batch.empty(draws.shape[1])
        indices: list[int] = []
        scores: list[float] = []
        while len(indices) < count:
            left = len(gains) - len(indices)
            order = greatest(gains, min(left, self.looks), generator)
            best, most = -1, -np.inf
            for start in range(0, len(order), CHUNK):
                candidates = order[start : start + CHUNK]
                if gains[candidates[0]] <= most:
                    break
                found = batch.entropy(draws[candidates]) - noise[candidates]
                gains[candidates] = found
                if found.max() > most:
                    best, most = int(candidates[found.argmax()]), float(found.max())
            indices.append(best)
            scores.append(most)
            gains[best] = -np.inf
            batch = batch.with_sample(draws[best], self.combinations, generator)
        return Selection(np.array(indices, np.int64), np.array(scores, np.float32))


class Batch:
    """What the labels of the samples taken may be, and what each combination says of the draws.

    Args:
        weights: probability of each combination, float32 ``[M]``.
        beliefs: probability of each draw given the combination, float32 ``[M, K]``.
    """

    def __init__(self, weights: Floats, beliefs: Floats) -> None:
        self.weights = weights
        self.beliefs = beliefs

    @classmethod
    def empty(cls, draws: int) -> Batch:
        """Before anything is taken, each of K draws is as likely as another."""
        return cls(np.ones(1, np.float32), np.full((1, draws), 1 / draws, np.float32))

    def entropy(self, candidates: Floats) -> Floats:
        """Entropy in nats ``[B]`` of the label of each of ``[B, K, C]``, given those of the batch.

        In the mean over the combinations.
        """
        count, draws, classes = candidates.shape
        columns = candidates.transpose(1, 0, 2).reshape(draws, count * classes)
        predicted = self.beliefs @ columns
        entropies: Floats = self.weights @ surprise(predicted)
        return entropies.reshape(count, classes).sum(axis=1)

    def with_sample(self, draws: Floats, most: int, generator: np.random.Generator) -> Batch:
        """Take one more sample, ``[K, C]``, with at most ``most`` combinations afterwards."""
        predicted = self.beliefs @ draws
        weights = (self.weights[:, None] * predicted).ravel()
        kept: NDArray[np.int64] = np.flatnonzero(weights > NEGLIGIBLE)
        if len(kept) > most:
            # One drawn of each equal slice: the least variance (Kitagawa 1996, "Monte Carlo
            # filter and smoother", appendix).
            heights = np.cumsum(weights, dtype=np.float64)
            steps = (np.arange(most) + generator.random()) / most * heights[-1]
            kept = np.searchsorted(heights, steps).clip(max=len(weights) - 1)
            weights = np.ones_like(weights)
        combination, label = np.divmod(kept, draws.shape[1])
        beliefs = self.beliefs[combination] * draws.T[label]
        beliefs /= beliefs.sum(axis=1, keepdims=True)
        return Batch(weights[kept] / weights[kept].sum(), beliefs)


def surprise(probabilities: Floats) -> Floats:
    """Share of each probability p in an entropy, -p log p in nats; of 0 it is 0.

    scipy's ``entr`` says the same, one number after the other: several times as slowly.
    """
    logarithms = np.log(np.maximum(probabilities, TINY))
    return np.multiply(logarithms, -probabilities, out=logarithms)


def information(draws: Floats) -> Floats:
    """Mutual information in nats ``[N]`` between label and network, of draws ``[N, K, C]``."""
    apart: Floats = surprise(draws.mean(axis=1)).sum(axis=1) - surprise(draws).sum(axis=2).mean(
        axis=1
    )
    return apart.clip(0)
