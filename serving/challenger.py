"""Which requests meet the challenger, and how its answers compare with the champion's."""

from __future__ import annotations

import logging
import queue
import threading
import time
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from serving.model import Answers, Images, ServedModel
from serving.settings import Challenger

log = logging.getLogger(__name__)

WAITING = 64  # requests that a comparison may be behind; more are left out
HASHES = 1 << 64


@dataclass(frozen=True, slots=True)
class _Pair:
    other: ServedModel
    images: Images
    answers: Answers
    seconds: float


class Comparison:
    """Lets a second model answer what the first one has answered, in a thread of its own.

    Attributes:
        agreed, disagreed: images to which champion and challenger gave the same digit, or not.
        compared: requests that both answered.
        skipped: requests that only one of them answered because the other was behind.
        champion_seconds, challenger_seconds: time of either for the requests that both answered.
    """

    def __init__(self, settings: Challenger) -> None:
        self.mode = settings.mode
        self.agreed = self.disagreed = self.compared = self.skipped = 0
        self.champion_seconds = self.challenger_seconds = 0.0
        self._limit = int(settings.percent / 100 * HASHES)
        self._pairs: queue.Queue[_Pair | None] = queue.Queue(WAITING)
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin; without a challenger there is nothing to begin."""
        if self.mode != "off":
            self._thread = threading.Thread(target=self._work, daemon=True, name="comparison")
            self._thread.start()

    def stop(self) -> None:
        """Answer what waits, and end."""
        if self._thread is not None:
            self._pairs.put(None)
            self._thread.join()
            self._thread = None

    def takes(self, key: str) -> bool:
        """Tell whether a request belongs to the share; the same in every process, at any time."""
        data = key.encode(errors="backslashreplace")
        return int.from_bytes(blake2b(data, digest_size=8).digest()) < self._limit

    def put(self, other: ServedModel, images: Images, answers: Answers, seconds: float) -> bool:
        """Let ``other`` answer too, when it can; never blocks.

        Args:
            other: second of what :meth:`serving.current.Current.choose` gave.
            images: uint8 ``[N, 28, 28]``.
            answers: what the first one said of them.
            seconds: that it took.

        Returns:
            False where it is too far behind, and this request is left out.
        """
        try:
            self._pairs.put_nowait(_Pair(other, images, answers, seconds))
        except queue.Full:
            self.skipped += 1
            return False
        return True

    def _work(self) -> None:
        while (pair := self._pairs.get()) is not None:
            try:
                self._count(pair)
            except Exception:
                # Whatever the second model fails with, the first one's answer is out already.
                log.exception("The answer of %s cannot be compared", pair.other.version)

    def _count(self, pair: _Pair) -> None:
        began = time.perf_counter()
        other = pair.other.predict(pair.images)
        seconds = time.perf_counter() - began
        same = other.probabilities.argmax(1) == pair.answers.probabilities.argmax(1)
        agreed = int(np.count_nonzero(same))
        self.agreed += agreed
        self.disagreed += len(same) - agreed
        self.compared += 1
        in_canary = self.mode == "canary"  # there it is the champion that answers unseen
        self.champion_seconds += seconds if in_canary else pair.seconds
        self.challenger_seconds += pair.seconds if in_canary else seconds
