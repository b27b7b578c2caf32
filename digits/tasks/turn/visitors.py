"""Simulated visitors of a service: they send digits whose labels are known here alone.

The key of a request says which digit it was, so that the traffic store itself tells later how many
answers were right.
"""

from __future__ import annotations

import http.client
import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray
from scipy.stats import fisher_exact

from digits.contract.prediction import Stored
from digits.contract.traffic import TrafficStore
from digits.data.types import Split
from digits.errors import LoopError
from digits.evaluation.corruptions import corrupt

KEY = "X-Digits-Key"
MARK = re.compile(r"(loop-[0-9a-f]+)\.([a-z]+\d*)\.(\d{1,9})")  # turn, phase, index
CHANCE = 0.05
SECONDS = 10.0  # until an answer, or until what was answered is in the store
LOOK_SECONDS = 0.05


@dataclass(frozen=True)
class Visit:
    """A prediction that a visitor has got.

    Attributes:
        id: of the prediction.
        time: when, in seconds since 1970 (UTC).
        phase: what the visitor came for.
        index: of the digit among those that visitors have.
        digit: what the service said.
        version: of the model that said it.
    """

    id: str
    time: float
    phase: str
    index: int
    digit: int
    version: str


@dataclass(frozen=True)
class Sent:
    """What came of some requests.

    Attributes:
        requests: how many were sent.
        failed: how many of them got no answer.
        seconds: how long it took.
    """

    requests: int
    failed: int
    seconds: float


class Visitors:
    """Send digits one after another over one connection.

    Args:
        address: of the service, ``http://<host>:<port>``.
        digits: what they write; they come back to the first after the last.
        name: of this loop; begins the key of each request.
        shift: the corruption that may set in (see :mod:`digits.evaluation.corruptions`).
        seed: of order and corruption.
        api_key: that the service asks for.
    """

    def __init__(
        self,
        address: str,
        digits: Split,
        *,
        name: str,
        shift: str,
        seed: int,
        api_key: str | None = None,
    ) -> None:
        self._place = urlsplit(address)
        self._digits = digits
        self._name = name
        self._seed = seed
        self._shifted = corrupt(shift, digits.images, seed=seed)
        self._headers = {"Content-Type": "application/octet-stream"}
        if api_key:
            self._headers["X-API-Key"] = api_key

    def send(
        self,
        phase: str,
        count: int,
        *,
        shifted: bool,
        without: Iterable[int] = (),
        step: Callable[[str], None] = lambda done: None,
    ) -> Sent:
        """Send ``count`` digits, none of those ``without``; after the last comes the first again.

        Raises:
            LoopError: there are no digits left to send.
        """
        images = self._shifted if shifted else self._digits.images
        order = _order(len(images), phase, self._seed)
        left = np.setdiff1d(order, np.fromiter(without, np.intp), assume_unique=True)
        order = order[np.isin(order, left)]
        if not len(order):
            raise LoopError("there are no digits left that were not labelled: raise the split")
        began, failed = time.perf_counter(), 0
        connection = self._connect()
        for number in range(count):
            index = int(order[number % len(order)])
            if not self._ask(connection, images[index], f"{self._name}.{phase}.{index}"):
                failed += 1
                connection.close()
            step(phase)
        connection.close()
        return Sent(count, failed, time.perf_counter() - began)

    def _connect(self) -> http.client.HTTPConnection:
        assert self._place.hostname is not None
        return http.client.HTTPConnection(self._place.hostname, self._place.port, timeout=SECONDS)

    def _ask(
        self, connection: http.client.HTTPConnection, image: NDArray[np.uint8], key: str
    ) -> bool:
        try:
            connection.request("POST", "/v1/predict", image.tobytes(), {**self._headers, KEY: key})
            answer = connection.getresponse()
            body = answer.read()
            return answer.status == 200 and json.loads(body)["stored"] == "queued"
        except (OSError, http.client.HTTPException):
            return False


def _order(count: int, phase: str, seed: int) -> NDArray[np.intp]:
    entropy = [seed, *phase.encode()]
    return np.random.default_rng(entropy).permutation(count)


def visits(store: TrafficStore, name: str | None, *, after: int = 0) -> Iterator[Visit]:
    """Give what the store holds of a turn's visitors, in the order in which it was written.

    Args:
        store: of the traffic.
        name: of the turn; None: every turn.
        after: number of the last row known.
    """
    for rows in store.read(after=after, pixels=False):
        yield from filter(None, (_visit(row, name) for row in rows))


def _visit(row: Stored, name: str | None) -> Visit | None:
    made = row.prediction
    mark = MARK.fullmatch(made.key or "")
    if mark is None or name not in (None, mark[1]):
        return None
    return Visit(made.id, made.time, mark[2], int(mark[3]), made.digit, made.version)


def wait_for(store: TrafficStore, name: str, phase: str, count: int) -> list[Visit]:
    """Return the visits of a phase once the store holds ``count`` of them.

    Raises:
        LoopError: it does not after some seconds.
    """
    end = time.monotonic() + SECONDS
    while True:
        found = [each for each in visits(store, name) if each.phase == phase]
        if len(found) >= count:
            return found
        if time.monotonic() > end:
            raise LoopError(f"traffic.url: {len(found)} of {count} answers are in the store")
        time.sleep(LOOK_SECONDS)


def is_worse(new: Sequence[Visit], old: Sequence[Visit], labels: NDArray[np.int64]) -> bool:
    """Tell whether ``new`` visits got fewer right answers, more so than by chance.

    Fisher's exact test, one-sided, at the level ``CHANCE`` (R. A. Fisher, "The Design of
    Experiments", 1935).
    """
    table = [
        [sum(int(labels[each.index]) == each.digit for each in part), len(part)]
        for part in (new, old)
    ]
    counts = [[right, count - right] for right, count in table]
    return bool(fisher_exact(counts, alternative="less").pvalue < CHANCE)


def accuracy(found: Sequence[Visit], labels: NDArray[np.int64]) -> float:
    """Return the share of visits that got the right answer; labels int64 ``[N]`` by index."""
    right = sum(int(labels[each.index]) == each.digit for each in found)
    return right / max(1, len(found))
