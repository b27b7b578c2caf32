"""What `task=drift` has found in served traffic, out of the database of the traffic store."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from digits.errors import DigitsError
from serving.errors import RequestError
from serving.metrics import Metrics

if TYPE_CHECKING:
    from digits.contract.drift_history import DriftHistory, Watched

LOOK_SECONDS = 15.0  # between two looks for the gauges

log = logging.getLogger(__name__)


class Drift:
    """Reads the history of findings; nothing is measured here.

    Args:
        url: address of the traffic store; None: there is none.
    """

    def __init__(self, url: str | None) -> None:
        self._url = url
        self._opening = threading.Lock()
        self._history: DriftHistory | None = None

    async def recent(self, count: int) -> list[Mapping[str, Any]]:
        """Return the last findings, the oldest of them first.

        Raises:
            RequestError: 409 without a traffic store; 503 where it does not answer.
        """
        if self._url is None:
            message = "this service keeps no predictions, so nothing can drift"
            raise RequestError(409, "nothing_kept", message)
        try:
            found = await asyncio.to_thread(self._read, count)
        except DigitsError as error:
            log.error("%s", error)  # which names the place of the store: not for the client
            message = "the findings cannot be read now; try again"
            raise RequestError(503, "store_unavailable", message, {"Retry-After": "1"}) from error
        return [each._asdict() for each in found]

    async def keep_told(self, metrics: Metrics) -> None:
        """Bring the gauges up to the last finding, again and again, until cancelled."""
        while self._url is not None:
            try:
                found = await asyncio.to_thread(self._read, 1)
            except DigitsError as error:
                log.warning("%s", error)
            else:
                if found:
                    metrics.drift(found[-1])
            await asyncio.sleep(LOOK_SECONDS)

    def close(self) -> None:
        """Close the connections."""
        if self._history is not None:
            self._history.close()

    def _read(self, count: int) -> list[Watched]:
        with self._opening:
            if self._history is None:
                assert self._url is not None
                # The database's libraries take a fifth of a second: not before the first answer.
                from digits.contract.drift_history import DriftHistory

                self._history = DriftHistory(self._url)
        return self._history.recent(count)
