"""What is left of a model's accuracy when its digits are spoilt."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from digits.evaluation.classify import Classify
from digits.evaluation.corruptions import CORRUPTIONS, corrupt


def corrupted(images: NDArray[np.uint8], *, seed: int) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Yield (name, spoilt images) for each corruption, for several models to be asked about.

    ``images`` are uint8 ``[N, 28, 28]``; see :func:`~digits.evaluation.corruptions.corrupt`.
    """
    for name in CORRUPTIONS:
        yield name, corrupt(name, images, seed=seed)


def robustness(
    classify: Classify,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    *,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> dict[str, float]:
    """Return the accuracy in 0..1 under each corruption.

    Args:
        classify: the model.
        images: uint8 ``[N, 28, 28]``, N above 0.
        labels: int64 ``[N]``.
        seed: of the corruptions.
        progress: called with the name of each corruption that is done.

    Raises:
        ValueError: there are no images.
    """
    if not len(images):
        raise ValueError("no images: there is no accuracy to speak of")
    accuracies = {}
    for name, spoilt in corrupted(images, seed=seed):
        accuracies[name] = float((classify(spoilt).argmax(1) == labels).mean())
        if progress is not None:
            progress(name)
    return accuracies
