"""Requests that arrive in one step of the event loop, answered at its end, in one run of the model.

None of them waits for what is not there yet. uvicorn starts a task for each request, and ASGI hands
body and answer over in messages, which costs more than a small network does; here the door's
coroutines are run by hand: until one has its answer, or waits for something else than its turn.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Generator
from types import coroutine
from typing import Any, Protocol

from serving.call import Answer
from serving.visit import InFlight

log = logging.getLogger(__name__)

MOST = 32  # requests of one turn; more of them take another one


class Connection(Protocol):
    """Where a request has come from."""

    def send(self, answer: Answer) -> None:
        """Send the answer, if there still is somebody to send it to."""

    def go_on_in_a_task(self, rest: Awaitable[Answer]) -> None:
        """Wait for an answer that is not there yet."""

    def give_up(self) -> None:
        """Close: there will be no answer."""


class _Begun:
    """An answer that is worked out by hand."""

    __slots__ = ("answering", "awaited", "connection")

    def __init__(self, connection: Connection, answering: Coroutine[Any, None, Answer]) -> None:
        self.connection = connection
        self.answering = answering
        self.awaited: Any = None

    def step(self) -> bool:
        """Go on as far as possible; tell whether there is something to wait for."""
        try:
            self.awaited = self.answering.send(None)
        except StopIteration as done:
            self.connection.send(done.value)
            return False
        except Exception:  # the others of the turn are to have their answers
            log.exception("A request has no answer")
            self.connection.give_up()
            return False
        return True


class Turn:
    """Takes requests and answers them together.

    Args:
        in_flight: counts those at work, and those that have arrived.
        limit: of requests at work.
        together: runs the model for all that have come so far and wait for others.
    """

    def __init__(self, in_flight: InFlight, limit: int, together: Callable[[], None]) -> None:
        self._in_flight = in_flight
        self._limit = limit
        self._together = together
        self._arrived: list[_Begun] = []
        self._vigil = _Vigil()

    def add(self, connection: Connection, answering: Coroutine[Any, None, Answer]) -> None:
        """Have a request answered that has arrived as a whole; once at a time of a connection."""
        if not self._arrived:
            self._vigil.end()
            asyncio.get_running_loop().call_soon(self.take)
        self._arrived.append(_Begun(connection, answering))
        self._in_flight.arrived += 1

    def take(self) -> None:
        """Answer what has arrived."""
        while self._arrived:
            room = max(1, min(MOST, self._limit - self._in_flight.count))
            arrived, self._arrived = self._arrived[:room], self._arrived[room:]
            waiting = []
            for each in arrived:
                self._in_flight.arrived -= 1
                if each.step():
                    waiting.append(each)
            if waiting:
                self._together()
                for each in waiting:
                    _finish(each)
            self._vigil.begin()


class _Vigil:
    """Keeps the loop from sleeping for a moment after an answer, if the next request comes so soon.

    A process that sleeps between any two requests finds the processor's caches cold each time: one
    client that asks again at once would cost twice the time that each of several does. Where the
    last pause was longer than the moment, the loop sleeps as ever.
    """

    SECONDS = 100e-6

    def __init__(self) -> None:
        self._since = 0.0
        self._is_kept = self._pays = False

    def begin(self) -> None:
        """An answer is on its way."""
        self._since = time.perf_counter()
        if self._pays and not self._is_kept:
            self._is_kept = True
            asyncio.get_running_loop().call_soon(self._look)

    def end(self) -> None:
        """A request has come."""
        self._pays = time.perf_counter() - self._since < self.SECONDS

    def _look(self) -> None:
        if time.perf_counter() - self._since < self.SECONDS:
            asyncio.get_running_loop().call_soon(self._look)
        else:
            self._is_kept = self._pays = False


def _finish(begun: _Begun) -> None:
    while isinstance(begun.awaited, asyncio.Future) and begun.awaited.done():
        if not begun.step():
            return
    begun.connection.go_on_in_a_task(_rest(begun.answering, begun.awaited))


@coroutine
def _rest(begun: Coroutine[Any, None, Answer], awaited: Any) -> Generator[Any, Any, Answer]:
    """Go on with a coroutine that has come to a wait."""
    try:
        while True:
            try:
                value = yield awaited
            except BaseException as error:
                awaited = begun.throw(error)
            else:
                awaited = begun.send(value)
    except StopIteration as done:
        answer: Answer = done.value
        return answer
