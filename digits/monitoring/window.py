"""The images that are judged: out of the traffic store, with the labels that were confirmed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digits.contract.label import NOT_A_DIGIT
from digits.contract.labelling import LabelStore
from digits.contract.moment import told
from digits.contract.prediction import Stored
from digits.contract.traffic import TrafficStore


@dataclass(frozen=True)
class Window:
    """N images, or what was answered to them.

    Attributes:
        name: in words.
        images: uint8 ``[N, 28, 28]``; None where they were not kept.
        probabilities: as they were answered, float32 ``[N, 10]``; None for images of a file.
        labels: int64 ``[N]`` in -1..9, where -1 is what is no digit; :data:`UNKNOWN` where nobody
            has confirmed one.
        first, last: time of the first and the last, in seconds since 1970; None: not known.
    """

    name: str
    images: NDArray[np.uint8] | None
    probabilities: NDArray[np.float32] | None
    labels: NDArray[np.int64]
    first: float | None = None
    last: float | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def labelled(self) -> NDArray[np.intp]:
        """Indices of the images whose digit is known."""
        return np.flatnonzero(self.labels >= 0)


UNKNOWN = -2


def of_traffic(
    url: str, *, last: int, since: float | None, until: float | None, version: str | None
) -> Window:
    """Read the last predictions of a time from the traffic store.

    Where pixels were kept, predictions of every version of the model are read, for it is asked
    again; where not, only those that this version gave. Labels are those that were confirmed in the
    label store, except of images that a client had marked as wrong: such labels are no fair sample.

    Args:
        url: of the database.
        last: most of them.
        since: no earlier ones, in seconds since 1970 (UTC).
        until: only earlier ones.
        version: of the model, ``<name>/<number>``; None: it has none, and any model's are read.

    Raises:
        TrafficError: the store cannot be read.
    """
    store = TrafficStore(url)
    try:
        name = None if version is None else version.rpartition("/")[0]
        rows = _rows(store, last, since, until, name) if store.exists() else []
    finally:
        store.close()
    if any(row.prediction.pixels is None for row in rows):
        rows = [row for row in rows if row.prediction.version == version]
        images = None
    else:
        images = _images(row.prediction.pixels or b"" for row in rows)
    probabilities = np.array(
        [np.frombuffer(row.prediction.probabilities, "<f4") for row in rows], np.float32
    ).reshape(-1, 10)
    times = [row.prediction.time for row in rows]
    first, final = (times[0], times[-1]) if times else (None, None)
    told = _name(len(rows), first, final, since, until)
    return Window(told, images, probabilities, _labels(url, rows), first, final)


def _rows(
    store: TrafficStore, last: int, since: float | None, until: float | None, name: str | None
) -> list[Stored]:
    if since is None and until is None:
        return store.recent(last, name=name)
    kept: deque[Stored] = deque(maxlen=last)
    for chunk in store.read(since=since, until=until, name=name):
        kept.extend(chunk)
    return list(kept)


def _images(pixels: Iterable[bytes]) -> NDArray[np.uint8]:
    return np.frombuffer(b"".join(pixels), np.uint8).reshape(-1, 28, 28)


def _labels(url: str, rows: Sequence[Stored]) -> NDArray[np.int64]:
    labels = np.full(len(rows), UNKNOWN, np.int64)
    store = LabelStore(url)
    try:
        confirmed = store.confirmed() if rows and store.exists() else []
    finally:
        store.close()
    known = {each.sample: each.label for each in confirmed if each.label != NOT_A_DIGIT}
    for place, row in enumerate(rows):
        if row.suggestion is None:
            labels[place] = known.get(row.prediction.id, UNKNOWN)
    return labels


def _name(
    count: int,
    first: float | None,
    last: float | None,
    since: float | None,
    until: float | None,
) -> str:
    if first is None or last is None:
        bounds = [("since ", since), ("before ", until)]
        said = " ".join(word + told(bound) for word, bound in bounds if bound is not None)
        return f"no predictions {said}".strip()
    return f"{count:,} predictions, {told(first)} to {told(last)}"
