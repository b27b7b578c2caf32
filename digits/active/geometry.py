"""Acquisition that spreads a batch over what the model tells apart."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from digits.active.acquisition import Acquisition, Need, greatest
from digits.active.pool import Floats, Scored, Selection

CHUNK = 4096  # points whose distances to many centres are held at a time


class CoreSet(Acquisition):
    """The sample furthest from all that is labelled or taken, again and again; scores: distances.

    The greedy k-centre of Sener and Savarese 2018, "Active learning for convolutional neural
    networks: a core-set approach", algorithm 1. Where nothing is labelled, the pool's mean is the
    first centre.
    """

    name: ClassVar[str] = "coreset"
    needs: frozenset[Need] = frozenset({"embeddings"})

    def _choose(self, pool: Scored, count: int, generator: np.random.Generator) -> Selection:
        assert pool.embeddings is not None
        labelled = pool.labelled
        if labelled is None or not len(labelled):
            labelled = pool.embeddings.mean(axis=0, keepdims=True)
        return furthest(pool.embeddings, count, centres=labelled, generator=generator)


class Badge(Acquisition):
    """A batch that is both uncertain and varied: k-means++ on the gradients of the last layer.

    Ash et al. 2020, "Deep batch active learning by diverse, uncertain gradient lower bounds",
    algorithm 1: the gradient of the loss, were the likeliest class the right one, is the outer
    product of ``probabilities - one_hot(likeliest)`` and the embedding. It is never written out:
    an inner product of two of them is the product of two inner products. Scores: squared distances
    to the nearest one taken before, of the first its squared length.
    """

    name: ClassVar[str] = "badge"
    needs: frozenset[Need] = frozenset({"embeddings"})

    def _choose(self, pool: Scored, count: int, generator: np.random.Generator) -> Selection:
        assert pool.embeddings is not None
        errors, places = pool.probabilities.copy(), pool.embeddings
        errors[np.arange(len(pool)), errors.argmax(axis=1)] -= 1
        lengths = (errors**2).sum(axis=1) * (places**2).sum(axis=1)
        first = int(greatest(lengths, 1, generator)[0])
        indices, scores = [first], [lengths[first]]
        apart = np.full_like(lengths, np.inf)
        is_left = np.ones(len(pool), bool)
        while len(indices) < count:
            last = indices[-1]
            is_left[last] = False
            alike = (errors @ errors[last]) * (places @ places[last])
            np.minimum(apart, (lengths + lengths[last] - 2 * alike).clip(0), out=apart)
            weights = np.where(is_left, apart, 0).astype(np.float64)
            if not weights.any():  # only copies of what is taken are left
                weights = is_left.astype(np.float64)
            chosen = int(generator.choice(len(pool), p=weights / weights.sum()))
            indices.append(chosen)
            scores.append(apart[chosen])
        return Selection(np.array(indices, np.int64), np.array(scores, np.float32))


def furthest(
    points: Floats, count: int, *, centres: Floats, generator: np.random.Generator
) -> Selection:
    """Choose ``count`` of points ``[N, D]``, each the furthest from ``centres`` and those before.

    Args:
        points: float32.
        count: at most N.
        centres: float32 ``[M, D]``.
        generator: decides among equals.
    """
    points, centres = points - (mean := points.mean(axis=0)), centres - mean
    lengths = (points**2).sum(axis=1)
    apart = np.full_like(lengths, np.inf)
    for start in range(0, len(points), CHUNK):
        part = slice(start, start + CHUNK)
        apart[part] = ((centres**2).sum(axis=1) - 2 * (points[part] @ centres.T)).min(axis=1)
    apart = (apart + lengths).clip(0)
    indices, scores = np.empty(count, np.int64), np.empty(count, np.float32)
    for turn in range(count):
        chosen = int(generator.choice(np.flatnonzero(apart == apart.max())))
        indices[turn], scores[turn] = chosen, np.sqrt(apart[chosen])
        nearer = (lengths + lengths[chosen] - 2 * (points @ points[chosen])).clip(0)
        np.minimum(apart, nearer, out=apart)
        apart[indices[: turn + 1]] = -1  # never again, also where all that is left is copies
    return Selection(indices, scores)
