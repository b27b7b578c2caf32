"""The short way of a request: from the connection to the door without a task and ASGI's messages.

A POST to a hot route that arrives as a whole is answered in its turn (see :mod:`serving.turn`).
Where it has to wait for more than that, for a thread or a batch, it is handed on as it stands to
the task that uvicorn would have started; every other request takes uvicorn's way from the start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serving import headers
from serving.call import Answer, Scope
from serving.door import BEGUN, Door

_FORM = b"multipart/"  # its parser is not ours, and may want to be in a task


class DirectProtocol(HttpToolsProtocol):
    """One connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See :class:`asyncio.Protocol`."""
        super().connection_made(transport)
        # What stands before the door, such as uvicorn's proxy headers, has to see every request.
        self._door = self.app if isinstance(self.app, Door) else None
        self._body: bytes | None = None  # so far, of a request that may take the short way
        self._named: dict[bytes, bytes] = {}
        self._is_in_turn = False
        self._idle_since: float | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._defaults: list[headers.Header] | None = None
        self._default_lines = b""

    def connection_lost(self, exc: Exception | None) -> None:
        """See :class:`asyncio.Protocol`."""
        if self._idle is not None:
            self._idle.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See :class:`asyncio.Protocol`."""
        self._idle_since = None
        super().data_received(data)
        if self._body is not None and not self.transport.is_closing():
            body, self._body = self._body, None
            super().on_headers_complete()  # starts a task, which waits for the rest
            if body:
                super().on_body(body)

    def shutdown(self) -> None:
        """End the connection, or have it end when the request at work is answered."""
        self._take_turn()
        super().shutdown()

    @property
    def is_answered(self) -> bool:
        """Whether no request is at work."""
        return not self._is_in_turn and (self.cycle is None or self.cycle.response_complete)

    @property
    def is_idle(self) -> bool:
        """Whether the connection is watched while nothing comes."""
        return self._idle_since is not None or self.timeout_keep_alive_task is not None

    # What the parser calls.

    def on_message_begin(self) -> None:
        """Begin a request; the one before has its answer first."""
        self._take_turn()
        self._idle_since = None  # the answer before may have just begun it
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Choose the way, unless the connection has been closed by an answer before."""
        if self.transport.is_closing() or self._may_be_direct():
            self._body = b""
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        if self._body is None:
            super().on_body(body)
        else:
            self._body += body

    def on_message_complete(self) -> None:
        """Let a request that has come the short way have its turn."""
        body, self._body = self._body, None
        if body is None:
            super().on_message_complete()
        elif self._door is not None and not self.transport.is_closing():
            scope = cast("Scope", self.scope)
            self._is_in_turn = True
            self._door.turn.add(self, self._door.answer(scope, self._named, body))

    def _may_be_direct(self) -> bool:
        """Tell whether the request is of the plain kind, and the answer to it the next one."""
        path, _, query = self.url.partition(b"?")
        door = self._door
        if (
            door is None
            or path not in door.hot_paths
            or self.parser.get_method() != b"POST"
            or not self.is_answered
            or self.flow.write_paused
            or self.expect_100_continue
            or self.parser.should_upgrade()
            or not self.parser.should_keep_alive()
            or self.parser.get_http_version() != "1.1"
            or b"#" in query
        ):
            return False
        self._named = named = dict(self.headers)
        kind = named.get(b"content-type", b"")
        if b"content-length" not in named or kind[: len(_FORM)].lower() == _FORM:
            return False
        self.scope["method"] = "POST"
        self.scope["path"] = path.decode()
        self.scope["query_string"] = query
        return True

    def _take_turn(self) -> None:
        if self._is_in_turn and self._door is not None:
            self._door.turn.take()

    # What the turn calls.

    def go_on_in_a_task(self, rest: Awaitable[Answer]) -> None:
        """See :class:`serving.turn.Connection`."""
        self._is_in_turn = False
        if self.transport.is_closing():  # nobody is left to tell
            task = self.loop.create_task(_ended(rest))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
            return
        cast("Scope", self.scope)[BEGUN] = rest
        super().on_headers_complete()
        self.cycle.keep_alive = True  # the parser may be at the next request
        super().on_message_complete()

    def give_up(self) -> None:
        """See :class:`serving.turn.Connection`."""
        self._is_in_turn = False
        self.transport.close()

    def send(self, answer: Answer) -> None:
        """See :class:`serving.turn.Connection`."""
        self._is_in_turn = False
        if self.transport.is_closing():
            return
        defaults = self.server_state.default_headers  # another list each second: it has the date
        if self._defaults is not defaults:
            self._defaults, self._default_lines = defaults, headers.lines(defaults)
        self.transport.write(headers.message(answer, self._default_lines))
        if headers.CLOSE in answer.headers:
            self.transport.close()
            self.on_response_complete()
            return
        self.server_state.total_requests += 1
        self._idle_since = self.loop.time()
        if self._idle is None:
            self._idle = self.loop.call_later(self.timeout_keep_alive, self._look)

    def _look(self) -> None:
        """End an idle connection; one timer for many requests, as each costs more than a look."""
        self._idle = None
        if self._idle_since is None:
            return
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._idle = self.loop.call_later(left, self._look)
        else:
            self.timeout_keep_alive_handler()


async def _ended(rest: Awaitable[Answer]) -> None:
    await rest
