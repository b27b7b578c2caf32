"""The front door: what holds for every request, whichever route it takes.

In front of FastAPI, so that a limit or a header cannot be forgotten at a route, and so that the
few hot routes are answered without the cost of a framework.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping

from digits.contract.prediction import new_id
from serving.call import (
    Answer,
    App,
    Call,
    Endpoint,
    Message,
    Receive,
    Scope,
    Send,
    error_answer,
)
from serving.errors import BROKEN, RequestError
from serving.guard import Guard
from serving.logs import Journal
from serving.metrics import Metrics
from serving.settings import Limits
from serving.traces import Traces

REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
FAULT = "digits.fault"  # in the scope: an exception after which there was an answer all the same
OTHER = "other"  # the route of what the service does not know, in metrics

#: of every answer; a page states its own policy, which then stands instead
SECURITY = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
POLICY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
NO_STORE = (b"cache-control", b"no-store")


class Door:
    """An ASGI application in front of another.

    Args:
        app: answers what is not hot.
        hot: path -> endpoint of the routes that are answered right here, all of them POST.
        limits: of one request, and of all at work.
        guard: turns requests away.
        metrics: counts and times each request.
        journal: writes down those that it is told to.
        traces: sends a span of each.
    """

    def __init__(
        self,
        app: App,
        hot: Mapping[str, Endpoint],
        *,
        limits: Limits,
        guard: Guard,
        metrics: Metrics,
        journal: Journal,
        traces: Traces | None = None,
    ) -> None:
        self._app = app
        self._hot = hot
        self._limits = limits
        self._guard = guard
        self._metrics = metrics
        self._journal = journal
        self._traces = traces
        self.in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's request; anything but HTTP goes through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"")
        request_id = given.decode() if REQUEST_ID.fullmatch(given) else new_id()
        self.in_flight += 1
        error: BaseException | None = None
        status = 500
        try:
            status = await self._serve(scope, receive, send, headers, request_id)
            error = scope.get(FAULT)
        except RequestError as refusal:
            error, status = refusal, refusal.status
            await _send(send, error_answer(refusal, request_id), request_id)
        except ClientGoneError:
            status = 499
        except Exception as fault:
            error = fault
            broken = RequestError(500, "internal", BROKEN)
            await _send(send, error_answer(broken, request_id), request_id)
        finally:
            self.in_flight -= 1
            seconds = time.perf_counter() - started
            route = scope["path"] if scope["path"] in self._hot else _route(scope)
            self._metrics.request(route, status, seconds)
            self._journal.request(scope, route, status, seconds, request_id, error)
            if self._traces is not None:
                method = scope["method"]
                self._traces.request(method, route, status, seconds, request_id, headers)

    async def _serve(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        headers: dict[bytes, bytes],
        request_id: str,
    ) -> int:
        """Answer, and return the status."""
        if self.in_flight > self._limits.in_flight:
            raise RequestError(
                503, "busy", "too many requests are at work; try again", {"Retry-After": "1"}
            )
        self._guard.admit(scope, headers)
        body = await self._body(headers, receive)
        path = scope["path"]
        endpoint = self._hot.get(path)
        if endpoint is None or scope["method"] != "POST":
            return await self._pass_on(scope, body, receive, send, request_id)
        answer = await endpoint(Call(path, scope["query_string"], headers, body, request_id))
        await _send(send, answer, request_id)
        return answer.status

    async def _body(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        """Read the body, as far as the limits go.

        Raises:
            RequestError: it is too large, compressed, or does not arrive in time.
        """
        limit = self._limits.body_bytes
        length = headers.get(b"content-length")
        if length is not None and (not length.isdigit() or int(length) > limit):
            raise _too_large(limit)
        if headers.get(b"content-encoding", b"identity") != b"identity":
            raise RequestError(415, "compressed", "send the body as it is, not compressed")
        try:
            async with asyncio.timeout(self._limits.request_seconds):
                return await _read(receive, limit)
        except TimeoutError as error:
            raise RequestError(
                408, "too_slow", f"the body took more than {self._limits.request_seconds:g} s"
            ) from error

    async def _pass_on(
        self, scope: Scope, body: bytes, receive: Receive, send: Send, request_id: str
    ) -> int:
        """Let the framework answer, with the body already read."""
        status = 0
        waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def again() -> Message:
            return waiting.pop() if waiting else await receive()

        async def marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message["headers"],
                    *_missing(message["headers"], request_id),
                ]
            await send(message)

        scope["digits.request_id"] = request_id
        try:
            await self._app(scope, again, marked)
        except Exception as fault:
            if not status:
                raise
            scope[FAULT] = fault  # the framework has answered, and raises it for the log
        return status


class ClientGoneError(Exception):
    """The client went away before its request was complete."""


async def _read(receive: Receive, limit: int) -> bytes:
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        part, more = message.get("body", b""), message.get("more_body", False)
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        parts.append(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_large(limit: int) -> RequestError:
    # The rest of the body is not read: the connection cannot be used again.
    return RequestError(
        413, "too_large", f"the body may have {limit:,} bytes", {"Connection": "close"}
    )


async def _send(send: Send, answer: Answer, request_id: str) -> None:
    headers = [
        (b"content-type", answer.content_type),
        (b"content-length", b"%d" % len(answer.body)),
        (b"x-request-id", request_id.encode()),
        NO_STORE,
        POLICY,
        *SECURITY,
        *answer.headers,
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


def _missing(present: list[tuple[bytes, bytes]], request_id: str) -> list[tuple[bytes, bytes]]:
    names = {name.lower() for name, _ in present}
    wanted = [(b"x-request-id", request_id.encode()), NO_STORE, POLICY, *SECURITY]
    return [header for header in wanted if header[0] not in names]


def _route(scope: Scope) -> str:
    """Name the route by its pattern, never by what the client typed: metrics stay few."""
    route = scope.get("route")
    return getattr(route, "path", None) or OTHER
