"""From a pool and a model's view of it to rows of the labelling queue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits.active.acquisition import Acquisition
from digits.active.candidates import Candidates
from digits.active.pool import Floats, Scored
from digits.contract.label import Queued
from digits.contract.prediction import new_id
from digits.data.types import Split

SUGGESTION = "suggestion"  # the method of what somebody has suggested a label for


@dataclass(frozen=True)
class Chosen:
    """What is to be labelled, the most useful first.

    Attributes:
        candidates: the images, ``k`` of them.
        probabilities: float32 ``[k, 10]``, the model's.
        scores: float32 ``[k]``, in the terms of the methods.
        methods: by which each was chosen.
    """

    candidates: Candidates
    probabilities: Floats
    scores: Floats
    methods: Sequence[str]

    def __len__(self) -> int:
        return len(self.methods)

    def told(self) -> list[dict[str, Any]]:
        """Return sample, answer and score of each as plain values."""
        return [
            {
                "sample": sample,
                "digit": int(probabilities.argmax()),
                "confidence": float(probabilities.max()),
                "method": method,
                "score": float(score),
                "suggestion": suggestion,
            }
            for sample, probabilities, method, score, suggestion in zip(
                self.candidates.samples,
                self.probabilities,
                self.methods,
                self.scores,
                self.candidates.suggestions,
                strict=True,
            )
        ]

    def rows(self, version: str) -> list[Queued]:
        """Return a row of the queue for each, seen by this version of the model."""
        found = self.candidates
        return [
            Queued(
                **_seen(image, self.probabilities[place]),
                sample=found.samples[place],
                version=version,
                score=float(self.scores[place]),
                method=self.methods[place],
                time=float(found.times[place]),
                suggestion=found.suggestions[place],
            )
            for place, image in enumerate(found.images)
        ]


def choose(
    pool: Candidates,
    scored: Scored,
    acquisition: Acquisition,
    count: int,
    *,
    suggestions: bool,
    generator: np.random.Generator,
) -> Chosen:
    """Choose ``count`` samples of a pool, or all where there are no more.

    Args:
        pool: the images.
        scored: a model's view of them.
        acquisition: what chooses.
        count: how many.
        suggestions: whether those that somebody has suggested a label for come first: scored by
            what the model gives to all other labels, 0..1.
        generator: what an acquisition draws from.
    """
    labels = np.array([-1 if each is None else each for each in pool.suggestions], np.int64)
    is_told = (labels >= 0) & suggestions
    told, rest = np.flatnonzero(is_told), np.flatnonzero(~is_told)
    doubts = 1 - scored.probabilities[told, labels[told]]
    first = np.argsort(-doubts, kind="stable")[:count]
    more = acquisition.select(part(scored, rest), count - len(first), generator=generator)
    taken = np.concatenate([told[first], rest[more.indices]])
    return Chosen(
        pool.take(taken),
        scored.probabilities[taken],
        np.concatenate([doubts[first], more.scores]).astype(np.float32),
        [SUGGESTION] * len(first) + [acquisition.name] * len(more),
    )


def part(scored: Scored, places: NDArray[np.int64]) -> Scored:
    """Return the view of some samples only."""
    return replace(
        scored,
        probabilities=scored.probabilities[places],
        draws=None if scored.draws is None else scored.draws[places],
        embeddings=None if scored.embeddings is None else scored.embeddings[places],
    )


def controls(known: Split, probabilities: Floats, like: Sequence[Queued]) -> list[Queued]:
    """Return rows with known labels, which check whoever labels, and look like the others.

    Args:
        known: the images and their labels, ``k``.
        probabilities: float32 ``[k, 10]``, the model's.
        like: rows that are queued with them, at least one.
    """
    return [
        # The name gives nothing away; so the same image may be a control twice.
        like[place % len(like)]._replace(
            **_seen(image, probabilities[place]),
            sample=new_id(),
            control=int(known.labels[place]),
            suggestion=None,
        )
        for place, image in enumerate(known.images)
    ]


def mixed(
    rows: Sequence[Queued], checks: Sequence[Queued], generator: np.random.Generator
) -> list[Queued]:
    """Put ``checks`` at random places among ``rows``, whose order stays."""
    among = np.zeros(len(rows) + len(checks), bool)
    among[generator.permutation(len(among))[: len(checks)]] = True
    each, check = iter(rows), iter(checks)
    return [next(check if is_check else each) for is_check in among]


def _seen(image: NDArray[np.uint8], probabilities: Floats) -> dict[str, Any]:
    """Return the values of a row that an image and what a model says of it give."""
    return {
        "pixels": image.tobytes(),
        "probabilities": probabilities.astype("<f4").tobytes(),
        "digit": int(probabilities.argmax()),
        "confidence": float(probabilities.max()),
    }
