"""The one stratified split, used by every source."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digits.errors import DataError


@dataclass(frozen=True)
class Parts:
    """Ascending indices (intp) of three disjoint parts that together are everything."""

    train: NDArray[np.intp]
    validation: NDArray[np.intp]
    test: NDArray[np.intp]


def by_share(
    labels: NDArray[np.int64], *, validation_fraction: float, test_fraction: float, seed: int
) -> Parts:
    """Cut N labelled samples by shares of the whole; see :func:`stratified`.

    Args:
        labels: int64 ``[N]``.
        validation_fraction: share for validation; 0 leaves it empty.
        test_fraction: share for the test at the end, above 0.
        seed: chooses which samples go where.

    Raises:
        DataError: a share is less than one sample, or :func:`stratified` refuses them.
    """
    sizes = {}
    for key, fraction in (
        ("data.validation_fraction", validation_fraction),
        ("data.test_fraction", test_fraction),
    ):
        sizes[key] = round(fraction * len(labels))
        if not sizes[key] and (fraction or key == "data.test_fraction"):
            raise DataError(f"{key}: {fraction} of {len(labels):,} images is none: raise it")
    validation, test = sizes.values()
    return stratified(labels, validation=validation, test=test, seed=seed, keys=tuple(sizes))


def stratified(
    labels: NDArray[np.int64],
    *,
    validation: int,
    test: int,
    seed: int,
    keys: tuple[str, ...] = ("validation", "test"),
) -> Parts:
    """Cut N labelled samples into train, validation and test with every class in proportion.

    Plain numpy, so that a split depends on this code and ``seed`` alone, not on the version of a
    library. For one seed the test part does not depend on the size of the validation part.

    Args:
        labels: int64 ``[N]``.
        validation: samples in the validation part; 0 leaves it empty.
        test: samples in the test part; 0 leaves it empty.
        seed: chooses which samples go where.
        keys: what the user sets these sizes with, for messages.

    Raises:
        DataError: the parts do not fit, or a class has too few samples to be in each of them.
    """
    count = len(labels)
    if validation + test >= max(count, 1):
        raise DataError(
            f"{count} samples cannot give {validation} for validation and {test} for test and "
            f"leave some for training: lower {' or '.join(keys)}"
        )
    random = np.random.default_rng(seed)
    classes, sizes = np.unique(labels, return_counts=True)
    tests, validations = _allot(sizes, test), _allot(sizes, validation)
    members: list[list[NDArray[np.intp]]] = [[], [], []]
    for label, size, for_test, for_validation in zip(
        classes, sizes, tests, validations, strict=True
    ):
        cuts = [for_test, for_test + for_validation]
        if (test and not for_test) or (validation and not for_validation) or cuts[1] >= size:
            raise DataError(
                f"class {label} has {size} samples, too few to be in train, validation and test "
                f"({size - cuts[1]}, {for_validation} and {for_test}): add images of it, or "
                f"change {' or '.join(keys)}"
            )
        shuffled = random.permutation(np.flatnonzero(labels == label))
        for part, indices in zip(members, np.split(shuffled, cuts), strict=True):
            part.append(indices)
    in_test, in_validation, in_train = (np.sort(np.concatenate(part)) for part in members)
    return Parts(in_train, in_validation, in_test)


def sample(labels: NDArray[np.int64], size: int, *, seed: int, key: str) -> NDArray[np.intp]:
    """Choose ``size`` of N labelled samples with every class in proportion, all if N is less.

    Args:
        labels: int64 ``[N]``.
        size: samples to choose.
        seed: chooses which.
        key: what the user sets the size with, for the message.

    Returns:
        Ascending indices, intp.

    Raises:
        DataError: a class would have none.
    """
    if size >= len(labels):
        return np.arange(len(labels))
    random = np.random.default_rng(seed)
    classes, sizes = np.unique(labels, return_counts=True)
    chosen = []
    for label, share in zip(classes, _allot(sizes, size), strict=True):
        if not share:
            raise DataError(f"{key}: {size} images would hold none of class {label}: raise it")
        chosen.append(random.permutation(np.flatnonzero(labels == label))[:share])
    return np.sort(np.concatenate(chosen))


def _allot(sizes: NDArray[np.intp], total: int) -> NDArray[np.intp]:
    """Share ``total`` over the classes in proportion, by largest remainder."""
    exact = sizes * total / sizes.sum()
    shares: NDArray[np.intp] = np.floor(exact).astype(np.intp)
    largest = np.argsort(shares - exact, kind="stable")[: total - shares.sum()]
    shares[largest] += 1
    return shares
