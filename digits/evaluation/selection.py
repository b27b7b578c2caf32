"""Which digits are explained: those of chosen numbers, the worst mistakes, or a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from digits.data.types import Split
from digits.evaluation.classify import Classify

UNKNOWN = -1  # label of a digit that nobody has labelled


@dataclass(frozen=True)
class Selection:
    """The digits that are explained, at least one.

    Attributes:
        title: what they are.
        images: uint8 ``[N, 28, 28]``.
        labels: int64 ``[N]``, -1 where there is none.
        indices: int64 ``[N]``: their places among the held-out digits; 0 for a picture.
        logits: float32 ``[N, 10]``.
    """

    title: str
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    indices: NDArray[np.int64]
    logits: NDArray[np.float32]

    @property
    def answers(self) -> NDArray[np.int64]:
        """The classes that the model names, int64 ``[N]``."""
        return self.logits.argmax(1)

    def captions(self, targets: NDArray[np.int64]) -> list[str]:
        """Say of each what it is, what it is read as, and what is explained if that is another."""
        texts = []
        for index, label, answer, target, shares in zip(
            self.indices, self.labels, self.answers, targets, softmax(self.logits, 1), strict=True
        ):
            what = "" if label == UNKNOWN else f"#{index}: {label} "
            text = f"{what}read as {answer}\n{shares[answer]:.1%}"
            texts.append(
                text if target == answer else f"{text}\nwhy {target}? {shares[target]:.1%}"
            )
        return texts


def picture(image: NDArray[np.uint8], classify: Classify, *, title: str) -> Selection:
    """Select one image uint8 ``[28, 28]`` that nobody has labelled."""
    images = image[None]
    return Selection(title, images, np.array([UNKNOWN]), np.array([0]), classify(images))


def numbered(digits: Split, indices: Sequence[int], classify: Classify) -> Selection:
    """Select the digits at ``indices``, in that order.

    Raises:
        IndexError: there are not so many digits.
    """
    chosen = np.array(indices, dtype=np.int64)
    part = digits.take(chosen)
    title = f"{len(chosen)} of {len(digits):,} digits"
    return Selection(title, part.images, part.labels, chosen, classify(part.images))


def worst_mistakes(digits: Split, count: int, classify: Classify) -> Selection:
    """Select the mistakes that the model is most sure of; if it makes none, its least sure answers.

    Args:
        digits: at least one.
        count: mistakes at the most.
        classify: images -> logits.
    """
    logits = classify(digits.images)
    sure = softmax(logits, axis=1).max(axis=1)
    wrong = np.flatnonzero(logits.argmax(1) != digits.labels)
    if len(wrong):
        chosen = wrong[np.argsort(-sure[wrong], kind="stable")][:count]
        title = f"worst {len(chosen)} of {len(wrong)} mistakes on {len(digits):,} digits"
    else:
        chosen = np.argsort(sure, kind="stable")[:count]
        title = f"no mistakes on {len(digits):,} digits: the {len(chosen)} least certain answers"
    part = digits.take(chosen)
    return Selection(title, part.images, part.labels, chosen, logits[chosen])
