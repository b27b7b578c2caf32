"""Augmented data as data: the draws that a training would make, made once and kept."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from digits.data.archive import MAX_BYTES
from digits.data.types import Augment, Digits, Split
from digits.errors import DataError

BATCH = 1000  # images at once; a batched augmentation holds several copies of them
Copies = Annotated[int, Field(ge=1, le=100)]


def augmented(data: Digits, augment: Augment, *, copies: int, seed: int) -> Digits:
    """Replace the training part by ``copies`` augmented draws of it, one after another.

    Draw k of an image is the one that a training with this seed sees in epoch k, where the
    augmentation works image by image. Values of a batched one are rounded to whole grey levels.
    Validation and test stay as they are.

    Raises:
        DataError: more than a data version may hold.
    """
    if copies * data.train.images.nbytes > MAX_BYTES:  # before it fills the memory
        raise DataError(
            f"copies={copies} of {len(data.train):,} images is more than the {MAX_BYTES:,} bytes "
            f"of a data version"
        )
    draws = [_draw(data.train.images, augment, epoch=copy, seed=seed) for copy in range(copies)]
    train = Split(np.concatenate(draws), np.tile(data.train.labels, copies))
    told = "augmented" if copies == 1 else f"augmented {copies} times"
    return Digits(
        name=data.name,
        description=f"{data.description}; training part {told}",
        train=train,
        validation=data.validation,
        test=data.test,
    )


def _draw(
    images: NDArray[np.uint8], augment: Augment, *, epoch: int, seed: int
) -> NDArray[np.uint8]:
    drawn = np.empty_like(images)
    for start in range(0, len(images), BATCH):
        part = slice(start, start + BATCH)
        keys = [(seed, epoch, index) for index in range(start, min(start + BATCH, len(images)))]
        drawn[part] = np.rint(np.asarray(augment(images[part], keys))).clip(0, 255)
    return drawn
