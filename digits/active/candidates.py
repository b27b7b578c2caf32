"""Pools of unlabelled images: what a service was asked, or the training split of a data set."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from digits.contract.prediction import Stored
from digits.contract.traffic import TrafficStore
from digits.data.types import Digits
from digits.errors import DataError


@dataclass(frozen=True)
class Candidates:
    """Images that nobody has been asked about yet, in one order throughout.

    Attributes:
        samples: their names in the labelling queue.
        images: uint8 ``[N, 28, 28]``.
        times: when each was seen, in seconds since 1970 (UTC).
        suggestions: label that somebody has suggested for each, 0..9; None where nobody has.
    """

    samples: Sequence[str]
    images: NDArray[np.uint8]
    times: Sequence[float]
    suggestions: Sequence[int | None]

    def __len__(self) -> int:
        return len(self.samples)

    def take(self, indices: NDArray[np.int64]) -> Candidates:
        """Return those at ``indices``, in that order."""
        return Candidates(
            [self.samples[each] for each in indices],
            self.images[indices],
            [self.times[each] for each in indices],
            [self.suggestions[each] for each in indices],
        )


def of_traffic(
    store: TrafficStore,
    known: Collection[str],
    *,
    since: float | None = None,
    until: float | None = None,
    name: str | None = None,
    limit: int,
) -> Candidates:
    """Return what was served and not queued yet, the newest where there are more than ``limit``.

    Of images that are equal to the pixel only the newest counts.

    Args:
        store: of served predictions.
        known: samples that were queued before.
        since: no earlier ones, in seconds since 1970 (UTC).
        until: only earlier ones.
        name: of the registered model that answered; None: any.
        limit: most images.

    Raises:
        DataError: there is none, with the reason.
        TrafficError: the store cannot be read.
    """
    seen = bare = 0
    found: dict[bytes, Stored] = {}
    if store.exists():
        for chunk in store.read(since=since, until=until, name=name):
            for stored in chunk:
                seen += 1
                pixels = stored.prediction.pixels
                if pixels is None:
                    bare += 1
                elif stored.prediction.id not in known:
                    found.pop(pixels, None)  # what is put back is the newest then
                    found[pixels] = stored
                    if len(found) > limit:
                        del found[next(iter(found))]
    if not found:
        raise DataError(_why_none(store, seen, bare, since, until, name))
    rows = list(found.values())
    images = np.frombuffer(b"".join(found), np.uint8).reshape(-1, 28, 28)
    return Candidates(
        [each.prediction.id for each in rows],
        images,
        [each.prediction.time for each in rows],
        [each.suggestion for each in rows],
    )


def of_data(data: Digits, known: Collection[str], *, limit: int) -> Candidates:
    """Return the images of a training split that were not queued yet, at most ``limit``.

    Raises:
        DataError: there is none.
    """
    places = unqueued(data, known)[:limit]
    if not len(places):
        raise DataError(
            f"pool: all {len(data.train):,} training images of {data.name} are queued or labelled"
        )
    return Candidates(
        [named(data, place) for place in places],
        data.train.images[places],
        [time.time()] * len(places),
        [None] * len(places),
    )


def unqueued(data: Digits, known: Collection[str]) -> NDArray[np.int64]:
    """Return the places int64 in the training split whose images were not queued yet.

    Of images that are equal to the pixel only the first counts.
    """
    places: dict[str, int] = {}
    for place in range(len(data.train)):
        places.setdefault(named(data, place), place)
    return np.array([place for name, place in places.items() if name not in known], np.int64)


def named(data: Digits, place: int) -> str:
    """Return the name in the labelling queue of an image of the training split.

    By its pixels: so it is the same in another split or version of the data.
    """
    return f"{data.name}/{hashlib.sha256(data.train.images[place].tobytes()).hexdigest()[:16]}"


def _why_none(
    store: TrafficStore,
    seen: int,
    bare: int,
    since: float | None,
    until: float | None,
    name: str | None,
) -> str:
    elsewhere = "or take another pool: pool=data"
    served = store.served() if store.exists() else []
    if not served:
        return f"traffic.url: {store.name} has no predictions yet: serve a model first, {elsewhere}"
    if name is not None:
        served = [each for each in served if each.version.startswith(f"{name}/")]
        if not served:
            return f"traffic.url: {store.name} has no predictions of {name}: serve it, {elsewhere}"
    if not seen:
        first, last = min(each.first for each in served), max(each.last for each in served)
        return (
            f"since, until: nothing was served {_window(since, until)}; the predictions in "
            f"{store.name} are from {_when(first)} to {_when(last)}: choose another window, "
            f"{elsewhere}"
        )
    if bare == seen:
        return (
            f"pool: none of {seen:,} predictions was kept with its image "
            f"(serving.traffic.images=false): serve with images, {elsewhere}"
        )
    return (
        f"pool: every image of {seen:,} predictions is queued or labelled already: label what "
        f"waits, {elsewhere}"
    )


def _window(since: float | None, until: float | None) -> str:
    bounds = [("from", since), ("before", until)]
    return " ".join(f"{word} {_when(moment)}" for word, moment in bounds if moment is not None)


def _when(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
