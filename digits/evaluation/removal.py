"""Judging attribution maps by taking ink away: deletion, insertion and infidelity.

Ink that is taken away leaves the blank page, which every digit of this format stands on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from digits.evaluation.classify import Classify

STEPS = 49  # of 16 pixels each
CHUNK = 100  # images whose steps are in memory at once
SQUARES = 50  # per image
SMALLEST, LARGEST = 3, 9  # pixels a side


@dataclass(frozen=True)
class Curves:
    """Mean probability of the explained class while pixels go or come in a map's order.

    Attributes:
        deletion: float64 ``[STEPS + 1]``: the pixels with the highest values go first; a good map
            makes it fall early.
        insertion: the same, of pixels that come onto the blank page; a good map makes it rise
            early.
    """

    deletion: NDArray[np.float64]
    insertion: NDArray[np.float64]

    @property
    def deletion_area(self) -> float:
        """Area under the curve over the share of pixels, in 0..1; low is good."""
        return _area(self.deletion)

    @property
    def insertion_area(self) -> float:
        """Area under the curve over the share of pixels, in 0..1; high is good."""
        return _area(self.insertion)


def _area(curve: NDArray[np.float64]) -> float:
    return float((curve[1:] + curve[:-1]).mean() / 2)


def curves(
    classify: Classify,
    images: NDArray[np.uint8],
    targets: NDArray[np.int64],
    maps: NDArray[np.float32],
    *,
    seed: int,
) -> Curves:
    """Delete and insert pixels in the order of ``maps`` (Petsiuk et al. 2018, "RISE").

    Args:
        classify: images -> logits.
        images: uint8 ``[N, 28, 28]``.
        targets: explained classes, int64 ``[N]``.
        maps: ``[N, 28, 28]``; pixels of equal value, such as a blank background, come in random
            order.
        seed: of that order.
    """
    ties = np.random.default_rng(seed).random((len(images), images[0].size))
    order = np.lexsort((ties, -maps.reshape(len(maps), -1)), axis=-1)
    rank = np.argsort(order, axis=-1).reshape(images.shape)
    sums = np.zeros((2, STEPS + 1))
    cuts = np.linspace(0, images[0].size, STEPS + 1).astype(int)[:, None, None]
    for part in _chunks(len(images)):
        chosen = rank[part, None] < cuts  # [n, STEPS + 1, 28, 28]
        steps = images[part, None] * np.stack([~chosen, chosen]).astype(np.uint8)
        logits = classify(steps.reshape(-1, *images.shape[1:])).reshape(*steps.shape[:3], -1)
        probabilities = softmax(logits.astype(np.float64), axis=-1)
        of_target = np.take_along_axis(probabilities, targets[None, part, None, None], axis=-1)
        sums += of_target[..., 0].sum(1)
    deletion, insertion = sums / len(images)
    return Curves(deletion, insertion)


def _chunks(count: int) -> Iterator[slice]:
    return (slice(start, start + CHUNK) for start in range(0, count, CHUNK))


@dataclass(frozen=True)
class Removals:
    """Squares that were made blank, and what that did; the same ones judge every map.

    Attributes:
        images: uint8 ``[N, 28, 28]``.
        squares: int64 ``[N, K, 4]``: top, bottom, left, right.
        drops: what the logit of the explained class lost, float64 ``[N, K]``.
    """

    images: NDArray[np.uint8]
    squares: NDArray[np.int64]
    drops: NDArray[np.float64]

    @classmethod
    def draw(
        cls,
        classify: Classify,
        images: NDArray[np.uint8],
        targets: NDArray[np.int64],
        *,
        seed: int,
        count: int = SQUARES,
    ) -> Removals:
        """Make ``count`` squares of each image blank, each around a pixel that has ink."""
        squares = _squares(images, count, np.random.default_rng(seed))
        rows = np.arange(len(images))
        whole = classify(images)[rows, targets].astype(np.float64)
        drops = np.empty((len(images), count))
        row, column = np.ogrid[: images.shape[1], : images.shape[2]]
        for number in range(count):
            top, bottom, left, right = squares[:, number].T[..., None, None]
            kept = (row < top) | (row >= bottom) | (column < left) | (column >= right)
            drops[:, number] = whole - classify(images * kept)[rows, targets]
        return cls(images, squares, drops)

    def infidelity(self, maps: NDArray[np.float32], *, multiplies_by_inputs: bool) -> float:
        """Return the share of the drops that ``maps`` do not foretell (Yeh et al. 2019, eq. 1).

        A map foretells the sum of its values in the square, or of its values times the pixels for
        a gradient. Maps have different units, so each is first scaled as suits it best, as by
        Captum's ``infidelity(normalize=True)``; mean squared errors are then divided by the mean
        squared drop.

        Args:
            maps: float32 ``[N, 28, 28]``.
            multiplies_by_inputs: False for a gradient.

        Returns:
            0 where the drops are foretold exactly, 1 for a map that says nothing; NaN where
            nothing that was removed made a difference.
        """
        told = self._sums(maps, multiplies_by_inputs)
        power = (told**2).sum(1)
        scale = np.divide(
            (told * self.drops).sum(1), power, where=power > 0, out=np.zeros(len(maps))
        )
        missed = ((scale[:, None] * told - self.drops) ** 2).sum()
        effect = (self.drops**2).sum()
        return float(missed / effect) if effect > 0 else float("nan")

    def _sums(self, maps: NDArray[np.float32], multiplies_by_inputs: bool) -> NDArray[np.float64]:
        """Return the sum over each square, float64 ``[N, K]``."""
        weights = (self.images > 0) if multiplies_by_inputs else self.images / 255
        values = maps.astype(np.float64) * weights
        # Sums over all pixels above and to the left: four of them give any rectangle's.
        corner = np.pad(values.cumsum(1).cumsum(2), ((0, 0), (1, 0), (1, 0)))
        index = np.arange(len(maps))[:, None]
        top, bottom, left, right = np.moveaxis(self.squares, -1, 0)
        told: NDArray[np.float64] = (
            corner[index, bottom, right]
            - corner[index, top, right]
            - corner[index, bottom, left]
            + corner[index, top, left]
        )
        return told


def _squares(
    images: NDArray[np.uint8], count: int, random: np.random.Generator
) -> NDArray[np.int64]:
    """Draw squares around pixels with ink, anywhere on a blank page; cut at the border."""
    height, width = images.shape[1:]
    squares = np.empty((len(images), count, 4), np.int64)
    for image, mine in zip(images, squares, strict=True):
        ink = np.flatnonzero(image)
        middle = random.choice(ink, count) if len(ink) else random.integers(0, image.size, count)
        side = random.integers(SMALLEST, LARGEST + 1, count)
        top, left = middle // width - side // 2, middle % width - side // 2
        mine[:] = np.stack([top, top + side, left, left + side], axis=1)
    return np.clip(squares, 0, [height, height, width, width])
