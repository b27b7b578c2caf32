"""Work that would hold up the event loop, in a few threads and within bounds."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from serving.errors import RequestError

T = TypeVar("T")

THREADS = 2
WAITING = 32  # pieces of work at once, at work or waiting; each may hold a decoded picture


class Threads:
    """Runs work in threads.

    Args:
        seconds: that a piece of work has, its waiting included.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="serving")
        self._at_work = 0

    async def run(self, work: Callable[[], T]) -> T:
        """Do ``work`` in a thread.

        Raises:
            RequestError: too much is waiting, or it takes too long.
        """
        if self._at_work >= WAITING:
            raise RequestError(
                503, "busy", "too much work is waiting; try again", {"Retry-After": "1"}
            )
        loop = asyncio.get_running_loop()
        future = self._pool.submit(work)
        self._at_work += 1
        future.add_done_callback(lambda _: self._tell(loop))
        waiting = asyncio.wrap_future(future)
        try:
            # Unlike a timeout this may begin outside a task (see serving.direct).
            await asyncio.wait((waiting,), timeout=self._seconds)
            if waiting.done():
                return waiting.result()
        finally:
            waiting.cancel()
        raise RequestError(
            503, "too_slow", f"no answer within {self._seconds:g} s", {"Retry-After": "1"}
        )

    def _tell(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have the loop count, which alone does."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody counts any more
            loop.call_soon_threadsafe(self._done)

    def _done(self) -> None:
        self._at_work -= 1

    def close(self) -> None:
        """Let what has begun finish; the rest is dropped."""
        self._pool.shutdown(cancel_futures=True)
