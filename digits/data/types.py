"""What a data source delivers: three disjoint splits of digit images with their labels."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits.errors import DataError

CLASSES = 10

#: (images uint8 [N, 28, 28], a key per image) -> images [N, 28, 28], uint8 or float32 in 0..255
Augment = Callable[[NDArray[np.uint8], Sequence[tuple[int, ...]]], Any]


@dataclass(frozen=True)
class Split:
    """Images uint8 ``[N, 28, 28]`` (background 0, ink high) and labels int64 ``[N]`` in 0..9.

    Raises:
        DataError: shapes, dtypes or label values are not these.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.images.dtype != np.uint8 or self.images.shape[1:] != (28, 28):
            raise DataError(
                f"images must be uint8 [N, 28, 28], not {self.images.dtype} {self.images.shape}"
            )
        if self.labels.dtype != np.int64 or self.labels.shape != self.images.shape[:1]:
            raise DataError(
                f"labels must be int64 [{len(self.images)}], not "
                f"{self.labels.dtype} {list(self.labels.shape)}"
            )
        if self.labels.size and not 0 <= self.labels.min() <= self.labels.max() < CLASSES:
            raise DataError(f"labels must lie in 0..9, found {np.unique(self.labels).tolist()}")

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: NDArray[np.intp]) -> Split:
        """Return the samples at ``indices``, in that order."""
        return Split(self.images[indices], self.labels[indices])


@dataclass(frozen=True)
class Digits:
    """A named data set in its three splits; ``test`` is looked at once, at the end.

    ``unlabelled`` are further images, uint8 ``[M, 28, 28]``, that may be learned from: what they
    show is not known.

    Raises:
        DataError: those are of another shape or type.
    """

    name: str
    description: str
    train: Split
    validation: Split
    test: Split
    unlabelled: NDArray[np.uint8] = field(default_factory=lambda: np.empty((0, 28, 28), np.uint8))

    def __post_init__(self) -> None:
        Split(self.unlabelled, np.zeros(len(self.unlabelled), np.int64))  # holds the same form

    @cached_property
    def digest(self) -> str:
        """sha256 (hex) over every image and label of the three splits, in order.

        And over the unlabelled images, where there are some.
        """
        content = hashlib.sha256()
        for part in (self.train, self.validation, self.test):
            content.update(len(part).to_bytes(8, "little"))
            content.update(np.ascontiguousarray(part.images).data)
            content.update(np.ascontiguousarray(part.labels, dtype="<i8").data)
        content.update(np.ascontiguousarray(self.unlabelled).data)
        return content.hexdigest()
