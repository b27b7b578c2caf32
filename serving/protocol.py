"""Bounds that uvicorn does not have: on a request's head, on who dawdles, and on connections."""

from __future__ import annotations

import asyncio

from serving.direct import DirectProtocol
from serving.settings import Limits

HEAD_BYTES = 32 * 1024  # of the request line and all headers

_CLOSING = b"content-length: 0\r\nconnection: close\r\n"
TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\n" + _CLOSING + b"\r\n"
TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\n" + _CLOSING + b"\r\n"
TOO_MANY = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\n" + _CLOSING + b"\r\n"


class BoundedProtocol(DirectProtocol):
    """One connection; what goes beyond its bounds is answered shortly and closed."""

    limits = Limits()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See :class:`asyncio.Protocol`."""
        super().connection_made(transport)
        self._in_head = True
        self._head = 0
        self._has_ended = False
        self._timer: asyncio.TimerHandle | None = None
        self._end: asyncio.TimerHandle | None = None
        if len(self.connections) > self.limits.connections:
            self._refuse(TOO_MANY)
        else:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """See :class:`asyncio.Protocol`."""
        self._stop_waiting()
        self._stop_ending()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See :class:`asyncio.Protocol`."""
        self._has_ended = False
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_head:
            if not self._has_ended:  # otherwise most of the bytes may be another request's
                self._head += len(data)
            if self._head > HEAD_BYTES:
                self._refuse(TOO_LARGE)
                return
        elif self.is_idle or not self.is_answered:
            return
        # Between two requests, or in the rest of one that is answered already, nobody else watches.
        if self._timer is None:
            self._wait()

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._in_head = True
        self._head = 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; those behind the body, of which there is no end, are left out."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Go on to the body, whose bounds are the door's."""
        self._in_head = False
        self._stop_waiting()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """See that a request has ended in the bytes at hand."""
        self._has_ended = True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on to the next request, or see that the connection ends."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._end_soon()

    def pause_writing(self) -> None:
        """Wait for a client that does not read its answer, but not for ever."""
        super().pause_writing()
        self._end_soon()

    def resume_writing(self) -> None:
        """Go on: it has read."""
        self._stop_ending()
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        """End a connection on which nothing more comes."""
        super().timeout_keep_alive_handler()
        self._end_soon()

    def _wait(self) -> None:
        seconds = self.limits.request_seconds
        self._timer = self.loop.call_later(seconds, self._refuse, TOO_SLOW)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end_soon(self) -> None:
        """Cut off a client that has not taken by then what is written to it."""
        if self._end is None:
            self._end = self.loop.call_later(self.limits.request_seconds, self.transport.abort)

    def _stop_ending(self) -> None:
        if self._end is not None:
            self._end.cancel()
            self._end = None

    def _refuse(self, answer: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(answer)
            self.transport.close()
            self._end_soon()


def bounded(limits: Limits) -> type[BoundedProtocol]:
    """Return the protocol with these limits, for uvicorn's ``http``."""
    return type("Bounded", (BoundedProtocol,), {"limits": limits})
