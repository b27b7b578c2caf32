"""A pool of unlabelled samples as a model sees them, and what was chosen of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
ROUNDING = 1e-3  # by how much the probabilities of one sample may miss 1, in sum


@dataclass(frozen=True)
class Scored:
    """What acquisition looks at: a model's view of N samples, in one order throughout.

    Attributes:
        probabilities: float32 ``[N, C]``; each row sums to 1.
        draws: float32 ``[N, K, C]``, probabilities of K networks drawn from those that the labels
            allow (dropout left on, an ensemble); None where there are none.
        embeddings: float32 ``[N, D]``, what the last layer reads; None where it is not known.
        labelled: float32 ``[M, D]``, embeddings of what is labelled already; None for nothing.

    Raises:
        ValueError: shapes that do not belong together, values that are not finite, or rows that
            are no distribution.
    """

    probabilities: Floats
    draws: Floats | None = None
    embeddings: Floats | None = None
    labelled: Floats | None = None

    def __post_init__(self) -> None:
        count = len(self)
        for name, shape in (
            ("probabilities", (count, None)),
            ("draws", (count, None, *self.probabilities.shape[1:])),
            ("embeddings", (count, None)),
            ("labelled", (None, *(() if self.embeddings is None else self.embeddings.shape[1:]))),
        ):
            values: Floats | None = getattr(self, name)
            if values is not None:
                _check(name, values, shape)
        for name in ("probabilities", "draws"):
            values = getattr(self, name)
            if values is not None and not _are_distributions(values):
                raise ValueError(f"{name}: each distribution is to be positive and to sum to 1")

    def __len__(self) -> int:
        return len(self.probabilities)


@dataclass(frozen=True)
class Selection:
    """What an acquisition chose, in the order in which it did.

    Attributes:
        indices: int64 ``[k]``, into the pool, each at most once.
        scores: float32 ``[k]``, how useful each seemed when it was taken; the greater the better.
            Each method has a scale of its own.
    """

    indices: NDArray[np.int64]
    scores: Floats

    def __len__(self) -> int:
        return len(self.indices)


def _check(name: str, values: Floats, shape: tuple[int | None, ...]) -> None:
    fits = values.ndim == len(shape) and all(
        wanted in (None, found) for wanted, found in zip(shape, values.shape, strict=True)
    )
    if not fits:
        told = ", ".join("any" if each is None else str(each) for each in shape)
        raise ValueError(f"{name}: shape {list(values.shape)} where [{told}] is needed")
    # A sum is finite if every value is, save for an overflow; so that is asked first, and is quick.
    if not np.isfinite(values.sum(dtype=np.float64)):
        rows = int((~np.isfinite(values).reshape(len(values), -1).all(axis=1)).sum())
        raise ValueError(f"{name}: {rows} of {len(values)} samples have values that are not finite")


def _are_distributions(values: Floats) -> bool:
    if values.size == 0:
        return True
    sums = values.sum(axis=-1)
    return bool(values.min() >= 0 and abs(sums - 1).max() < ROUNDING)
