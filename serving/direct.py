"""The short way of a request: answered in the step of the event loop in which it arrived.

uvicorn starts a task for each request, and ASGI hands the body and the answer over in messages,
which costs more than a small network does. A POST to a hot route that arrives as a whole needs
neither: the door's coroutine is run here and then, and has nothing to wait for. Where it has after
all, for a thread or a batch, it is handed on as it stands to the task that uvicorn would have
started; every other request takes uvicorn's way from the beginning.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from types import coroutine
from typing import Any, cast

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
            self._go_on_in_a_task()  # which waits for the rest

    @property
    def is_answered(self) -> bool:
        """Whether no request is at work."""
        return self.cycle is None or self.cycle.response_complete

    @property
    def is_idle(self) -> bool:
        """Whether the connection is watched while nothing comes."""
        return self._idle_since is not None or self.timeout_keep_alive_task is not None

    # What the parser calls.

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
        """Answer, where the request has come the short way."""
        body, self._body = self._body, None
        if body is None:
            super().on_message_complete()
        elif not self.transport.is_closing():
            self._answer(body)

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
        if b"content-length" not in named or named.get(b"content-type", b"").startswith(_FORM):
            return False
        self.scope["method"] = "POST"
        self.scope["path"] = path.decode()
        self.scope["query_string"] = query
        return True

    def _answer(self, body: bytes) -> None:
        assert self._door is not None, "the way was chosen by the door"
        scope = cast("Scope", self.scope)
        answering = self._door.answer(scope, self._named, body)
        try:
            awaited = answering.send(None)
        except StopIteration as done:
            self._send(done.value)
            return
        scope[BEGUN] = _rest(answering, awaited)
        self._body = b""
        self._go_on_in_a_task()
        super().on_message_complete()

    def _go_on_in_a_task(self) -> None:
        """Take uvicorn's way after all."""
        body, self._body = self._body, None
        super().on_headers_complete()
        if body:
            super().on_body(body)

    def _send(self, answer: Answer) -> None:
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


@coroutine
def _rest(begun: Coroutine[Any, None, Answer], awaited: Any) -> Generator[Any, Any, Answer]:
    """Go on with a coroutine that has come to its first wait."""
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
