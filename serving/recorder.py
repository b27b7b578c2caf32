"""Keeping the predictions: a bounded queue, and a thread that writes them to the traffic store.

What is not yet written is lost at ``kill -9``: the predictions of the last ``flush_seconds`` and of
the commit under way. A shutdown in order loses none.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from digits.contract.prediction import Deployment, Prediction
from digits.errors import DigitsError
from serving.settings import Traffic

if TYPE_CHECKING:
    from digits.contract.traffic import TrafficStore

LONGEST_PAUSE = 10.0  # seconds between two tries while the store does not answer
PRUNE_SECONDS = 10.0

log = logging.getLogger(__name__)


class Recorder:
    """Takes predictions from the event loop and writes them in batches.

    While the store cannot be written, predictions wait up to the bound, and more are dropped: the
    service goes on. A prediction that the store refuses is dropped too.

    Args:
        settings: where to, how soon, how many, with or without pixels.
        deployment: its id; noted in the store before the first prediction, unless it is there.

    Attributes:
        flush_seconds: longest wait until a prediction is written.
        written: how many were.
        dropped: how many were not and never will be.
        failures: how often the store could not be written.
    """

    def __init__(self, settings: Traffic, *, deployment: str) -> None:
        if settings.url is None:
            raise ValueError("traffic.url is null: there is nowhere to record to")
        self.flush_seconds = settings.flush_seconds
        self.written = self.dropped = self.failures = 0
        self._url = settings.url
        self._settings = settings
        host = socket.gethostname()
        self._deployment = Deployment(deployment, time.time(), "process", host)
        self._bound, self._half = settings.queue, settings.queue // 2
        self._lock = threading.Lock()
        self._waiting: dict[str, Prediction] = {}
        self._writing: dict[str, Prediction] = {}
        self._wake = threading.Event()
        self._is_closing = self._is_given_up = self._is_noted = False
        self._next_prune = time.monotonic() + PRUNE_SECONDS
        self._opening = threading.Lock()
        self._store: TrafficStore | None = None
        self._thread = threading.Thread(target=self._run, name="traffic", daemon=True)

    def start(self) -> None:
        """Begin to write, in a thread; the store is opened there too."""
        self._thread.start()

    def put(self, row: Prediction) -> bool:
        """Queue a prediction; False: the queue is full, and it is dropped. Never blocks."""
        return self.put_many([row]) == 1

    def put_many(self, rows: Sequence[Prediction]) -> int:
        """Queue predictions and return how many; the queue has no room for the rest of them."""
        if not self._settings.images:
            rows = [row._replace(pixels=None) for row in rows]
        with self._lock:  # nobody holds it for longer than this
            before = len(self._waiting) + len(self._writing)
            count = min(len(rows), max(0, self._bound - before))
            self._waiting.update([(row.id, row) for row in rows[:count]])
            self.dropped += len(rows) - count
        if before <= self._half < before + count:
            self._wake.set()  # before its time: more are coming than usual
        return count

    def pending(self, prediction: str) -> bool:
        """Tell whether the prediction with this id waits to be written."""
        with self._lock:
            return prediction in self._waiting or prediction in self._writing

    @property
    def depth(self) -> int:
        """How many predictions wait to be written."""
        return len(self._waiting) + len(self._writing)

    def store(self) -> TrafficStore:
        """Return the store that is written to; not for the event loop.

        Raises:
            TrafficError: its address is none.
            MissingExtraError: its driver is not installed.
        """
        with self._opening:
            if self._store is None:
                # The database's libraries take a fifth of a second: beside the model, not before.
                from digits.contract.traffic import TrafficStore

                self._store = TrafficStore(self._url)
            return self._store

    def close(self, timeout: float) -> bool:
        """Write what waits and end the thread.

        Args:
            timeout: seconds after which what still waits is given up, and counted as dropped.

        Returns:
            Whether everything was written.
        """
        self._is_closing = True
        self._wake.set()
        self._thread.join(timeout)
        self._is_given_up = True
        with self._lock:
            lost = self.depth
            self.dropped += lost
        if lost:
            log.error("%d predictions could not be written before the end", lost)
        return lost == 0

    # In the thread.

    def _run(self) -> None:
        pause = self.flush_seconds
        while not (self._is_given_up or (self._is_closing and self.depth == 0)):
            self._wake.wait(0 if self._is_closing and pause == self.flush_seconds else pause)
            self._wake.clear()
            try:
                self._flush()
                self._prune()
                pause = self.flush_seconds
            except Exception as error:  # a thread that ends would keep nothing any more
                self.failures += 1
                is_ours = isinstance(error, DigitsError)
                log.error("%s; %d predictions wait", error, self.depth, exc_info=not is_ours)
                pause = min(2 * pause, LONGEST_PAUSE)
        if self._store is not None:
            self._store.close()

    def _flush(self) -> None:
        """Write what waits, or what could not be written before."""
        store = self.store()
        if not self._is_noted:
            store.deploy(self._deployment)
            self._is_noted = True
        with self._lock:
            if not self._writing:
                self._writing, self._waiting = self._waiting, {}
        rows = list(self._writing.values())
        if not rows:
            return
        try:
            store.write(rows)
            count = len(rows)
        except ValueError:
            count = sum(_is_written(store, row) for row in rows)
        with self._lock:
            self._writing = {}
            self.written += count
            self.dropped += len(rows) - count

    def _prune(self) -> None:
        """Delete what is too old or too much: a step at each call, then none for a while."""
        if time.monotonic() < self._next_prune or self._is_closing:
            return
        gone = self.store().prune(
            max_days=self._settings.max_days, max_bytes=self._settings.max_bytes
        )
        self._next_prune = time.monotonic() + (0 if gone else PRUNE_SECONDS)


def _is_written(store: TrafficStore, row: Prediction) -> bool:
    """Write one of several, of which one at least is refused."""
    try:
        store.write([row])
    except ValueError as error:
        log.error("%s", error)
        return False
    return True
