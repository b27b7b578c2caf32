"""What every way of choosing samples has in common: the `acquisition` config group."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from digits.active.pool import Floats, Scored, Selection

Need = Literal["draws", "embeddings"]


class Acquisition(ABC):
    """Chooses the samples of a pool whose labels promise most.

    Attributes:
        name: as it is configured and recorded.
        needs: what the pool must have beside probabilities.
    """

    name: ClassVar[str]
    needs: frozenset[Need] = frozenset()

    def select(self, pool: Scored, count: int, *, generator: np.random.Generator) -> Selection:
        """Choose ``count`` samples, or all where the pool has no more.

        The same pool and generator give the same choice; among equals the generator decides.

        Raises:
            ValueError: a negative count, or a pool that lacks what this method needs.
        """
        if count < 0:
            raise ValueError(f"count: {count} samples cannot be chosen")
        for need in sorted(self.needs):
            if getattr(pool, need) is None:
                raise ValueError(f"acquisition: {self.name} needs {need}, and the pool has none")
        count = min(count, len(pool))
        if count == 0:
            return Selection(np.empty(0, np.int64), np.empty(0, np.float32))
        return self._choose(pool, count, generator)

    @abstractmethod
    def _choose(self, pool: Scored, count: int, generator: np.random.Generator) -> Selection:
        """Choose ``count`` of at least as many samples, and at least one."""


def greatest(scores: Floats, count: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Return where the ``count`` greatest of scores ``[N]`` are, equals in random order."""
    shuffled = generator.permutation(len(scores))
    return shuffled[np.argsort(-scores[shuffled], kind="stable")[:count]]
