"""A pool, and a choice of it, for the tests of acquisition."""

from __future__ import annotations

import numpy as np
from scipy.special import softmax

from digits.active.acquisition import Acquisition
from digits.active.pool import Scored, Selection


def pool(count: int = 60, *, draws: int = 8, seed: int = 0) -> Scored:
    """Samples around ten places, most of them plain, drawn by networks that differ a little."""
    random = np.random.default_rng(seed)
    places = random.normal(size=(10, 16))
    embeddings = places[np.arange(count) % 10] + random.normal(scale=0.7, size=(count, 16))
    networks = places + random.normal(scale=0.5, size=(draws, 10, 16))
    logits = np.einsum("nd,kcd->nkc", embeddings, networks)
    drawn = softmax(logits, axis=2).astype(np.float32)
    return Scored(drawn.mean(axis=1), drawn, embeddings.astype(np.float32))


def choose(method: Acquisition, samples: Scored, count: int, seed: int = 1) -> Selection:
    return method.select(samples, count, generator=np.random.default_rng(seed))


def at(samples: Scored, order: np.ndarray) -> Scored:
    assert samples.draws is not None and samples.embeddings is not None
    return Scored(samples.probabilities[order], samples.draws[order], samples.embeddings[order])
