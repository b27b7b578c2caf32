"""What a labeller is asked and says, in the database of the traffic store.

An answer to them is given once what they said is committed.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from digits.contract.label import Queued
from digits.errors import DigitsError
from serving.errors import RequestError

if TYPE_CHECKING:
    from digits.contract.labelling import LabelStore

T = TypeVar("T")

log = logging.getLogger(__name__)


class Labelling:
    """Asks labellers and keeps their answers.

    Every method raises RequestError: 409 without a traffic store; 503 where it does not answer. A
    *desk* is what a labeller has before them: the sample, the progress, and how many answers of
    theirs stand.

    Args:
        url: address of the traffic store; None: there is none.
    """

    def __init__(self, url: str | None) -> None:
        self._url = url
        self._opening = threading.Lock()
        self._store: LabelStore | None = None

    async def next(self, labeller: str) -> Mapping[str, Any]:
        """Return the desk of this labeller, with the sample that they should look at."""
        return await self._at_store(lambda store: _desk(store, labeller, store.next(labeller)))

    async def label(self, labeller: str, number: int, label: int) -> Mapping[str, Any]:
        """Keep what a sample is, and return the desk with the next one.

        Args:
            labeller: who says so.
            number: of the sample, as on the desk.
            label: -1..9; -1: no digit at all.

        Raises:
            RequestError: 404 for a number that is none.
        """

        def keep(store: LabelStore) -> Mapping[str, Any]:
            store.label(store.numbered(number), labeller, label)
            return _desk(store, labeller, store.next(labeller))

        return await self._at_store(keep)

    async def skip(self, labeller: str, number: int) -> Mapping[str, Any]:
        """Note that this labeller cannot tell; see :meth:`label`."""

        def keep(store: LabelStore) -> Mapping[str, Any]:
            store.skip(store.numbered(number), labeller)
            return _desk(store, labeller, store.next(labeller))

        return await self._at_store(keep)

    async def undo(self, labeller: str) -> Mapping[str, Any]:
        """Take back the labeller's last answer, and return the desk with its sample again."""

        def take_back(store: LabelStore) -> Mapping[str, Any]:
            return _desk(store, labeller, store.undo(labeller) or store.next(labeller))

        return await self._at_store(take_back)

    async def labellers(self) -> list[Mapping[str, Any]]:
        """Return everybody who has ever answered."""
        found = await self._at_store(lambda store: store.labellers())
        return [{**each._asdict(), "doubtful": each.is_doubtful} for each in found]

    async def confirmed(self, sample: str) -> Mapping[str, Any] | None:
        """Return the label that counts for a sample, by whom and since when; None: none does."""
        found = await self._at_store(lambda store: store.find(sample))
        if found is None:
            return None
        return {"label": found.label, "labeller": found.labeller, "time": found.time}

    def close(self) -> None:
        """Close the connections."""
        if self._store is not None:
            self._store.close()

    async def _at_store(self, work: Callable[[LabelStore], T]) -> T:
        try:
            return await asyncio.to_thread(lambda: work(self._opened()))
        except LookupError as error:
            raise RequestError(404, "unknown_sample", "no such sample is queued") from error
        except DigitsError as error:
            log.error("%s", error)  # which names the place of the store: not for the client
            message = "the labels cannot be kept now; try again"
            raise RequestError(503, "store_unavailable", message, {"Retry-After": "1"}) from error

    def _opened(self) -> LabelStore:
        with self._opening:
            if self._url is None:
                message = "this service keeps no predictions, so there is nothing to label"
                raise RequestError(409, "nothing_kept", message)
            if self._store is None:
                # The database's libraries take a fifth of a second: for those who label.
                from digits.contract.labelling import LabelStore

                self._store = LabelStore(self._url)
            return self._store


def _desk(store: LabelStore, labeller: str, row: Queued | None) -> Mapping[str, Any]:
    """Return the desk with a sample; nothing of it tells a control from the others."""
    sample = None
    if row is not None:
        sample = {
            "number": store.number(row.sample),
            "pixels": base64.b64encode(row.pixels).decode(),
            "probabilities": np.frombuffer(row.probabilities, "<f4").tolist(),
            "digit": row.digit,
            "confidence": row.confidence,
            "suggestion": row.suggestion,
            "version": row.version,
        }
    progress = store.progress()._asdict()
    return {"sample": sample, "progress": progress, "answered": store.answered(labeller)}
