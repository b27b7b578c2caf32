"""One request as the door sees it, from its head to its answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from digits.contract.prediction import new_id
from serving.call import Scope
from serving.head import request_id
from serving.intake import ClientGoneError

GONE = 499  # nginx's status for a client that did not wait


@dataclass
class InFlight:
    """How many requests there are.

    Attributes:
        count: at work.
        arrived: as a whole, and not yet at work (see :mod:`serving.turn`).
    """

    count: int = 0
    arrived: int = 0

    def in_all(self) -> int:
        """Return how many wait for their answers."""
        return self.count + self.arrived


@dataclass(slots=True)
class Visit:
    """A request at work: it counts as such, and is told of in the end, however it ends.

    Attributes:
        in_flight: counts those at work.
        tell: is given the visit and the seconds that it took.
        scope: of ASGI.
        headers: by their names in lower case; of a repeated one the last.
        id: the client's own name for it, where that is a proper one.
        status: of the answer.
        fault: why there was no other answer, or what went wrong after it.
    """

    in_flight: InFlight
    tell: Callable[[Visit, float], None]
    scope: Scope
    headers: dict[bytes, bytes]
    id: str = ""
    status: int = 500
    fault: Exception | None = None
    started: float = 0.0

    def __enter__(self) -> Self:
        """Come in."""
        self.started = time.perf_counter()
        self.id = request_id(self.headers) or new_id()
        self.in_flight.count += 1
        return self

    def __exit__(self, _: object, error: BaseException | None, trace: object) -> bool:
        """Leave; that a client has gone before is nobody's fault."""
        self.in_flight.count -= 1
        is_gone = isinstance(error, ClientGoneError)
        if is_gone:
            self.status, self.fault = GONE, None
        self.tell(self, time.perf_counter() - self.started)
        return is_gone
