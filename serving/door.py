"""The front door: what holds for every request, whichever route it takes.

In front of FastAPI, so that a limit or a header cannot be forgotten at a route, and so that the
few hot routes are answered without the cost of a framework.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

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
from serving.guard import Guard, is_probe
from serving.intake import ClientGoneError, read_body
from serving.logs import Journal
from serving.metrics import Metrics
from serving.settings import Limits
from serving.traces import Traces

REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
FAULT = "digits.fault"  # in the scope: an exception after which there was an answer all the same
FORMS = frozenset({"/v1/feedback"})  # POST with a few fields and no image
FORM_BYTES = 4096  # of those, and of all that are not POST
GONE = (OSError, RuntimeError)  # of ASGI servers and of uvloop, where nobody is left to send to
OTHER = "other"  # the route of what the service does not know, in metrics

#: of every answer; a page states its own policy, which then stands instead
SECURITY = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
POLICY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
NO_STORE = (b"cache-control", b"no-store")


@dataclass
class InFlight:
    """How many requests are at work."""

    count: int = 0


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
        in_flight: counts those at work.
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
        in_flight: InFlight | None = None,
    ) -> None:
        self._app = app
        self._hot = hot
        self._limits = limits
        self._guard = guard
        self._metrics = metrics
        self._journal = journal
        self._traces = traces
        self.in_flight = in_flight or InFlight()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's request; anything but HTTP goes through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"")
        request_id = given.decode() if REQUEST_ID.fullmatch(given) else new_id()
        self.in_flight.count += 1
        status, error = 500, None
        try:
            status, error = await self._answer(scope, receive, send, headers, request_id)
        except ClientGoneError:
            status = 499
        finally:
            self.in_flight.count -= 1
            seconds = time.perf_counter() - started
            route = scope["path"] if scope["path"] in self._hot else _route(scope)
            self._metrics.request(route, status, seconds)
            self._journal.request(scope, route, status, seconds, request_id, error)
            if self._traces is not None:
                method = scope["method"]
                self._traces.request(method, route, status, seconds, request_id, headers)

    async def _answer(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        headers: dict[bytes, bytes],
        request_id: str,
    ) -> tuple[int, Exception | None]:
        """Answer in any case, and return the status and what went wrong."""
        try:
            status = await self._serve(scope, receive, send, headers, request_id)
            return status, scope.get(FAULT)
        except ClientGoneError:
            raise
        except Exception as error:
            fault = error
        refusal = fault
        if not isinstance(refusal, RequestError):
            refusal = RequestError(500, "internal", BROKEN)
        await _send(send, error_answer(refusal, request_id), request_id)
        return refusal.status, fault

    async def _serve(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        headers: dict[bytes, bytes],
        request_id: str,
    ) -> int:
        """Answer, and return the status."""
        if self.in_flight.count > self._limits.in_flight and not is_probe(scope):
            raise RequestError(
                503, "busy", "too many requests are at work; try again", {"Retry-After": "1"}
            )
        self._guard.admit(scope, headers)
        path = scope["path"]
        limit = self._limits.body_bytes
        if scope["method"] != "POST" or path in FORMS:
            limit = min(limit, FORM_BYTES)
        seconds = self._limits.request_seconds
        body = await read_body(headers, receive, limit=limit, seconds=seconds)
        endpoint = self._hot.get(path)
        if endpoint is None or scope["method"] != "POST":
            return await self._pass_on(scope, body, receive, send, request_id)
        answer = await endpoint(Call(path, scope["query_string"], headers, body, request_id))
        await _send(send, answer, request_id)
        return answer.status

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
            try:
                await send(message)
            except GONE as error:
                raise ClientGoneError from error

        scope["digits.request_id"] = request_id
        is_head = scope["method"] == "HEAD"
        inner = {**scope, "method": "GET"} if is_head else scope  # the server leaves the body out
        try:
            await self._app(inner, again, marked)
        except ClientGoneError:
            raise
        except Exception as fault:
            if not status:
                raise
            scope[FAULT] = fault  # the framework has answered, and raises it for the log
        finally:
            scope["route"] = inner.get("route")
        return status


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
    try:
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})
    except GONE as error:
        raise ClientGoneError from error


def _missing(present: list[tuple[bytes, bytes]], request_id: str) -> list[tuple[bytes, bytes]]:
    names = {name.lower() for name, _ in present}
    wanted = [(b"x-request-id", request_id.encode()), NO_STORE, POLICY, *SECURITY]
    return [header for header in wanted if header[0] not in names]


def _route(scope: Scope) -> str:
    """Name the route by its pattern, never by what the client typed: metrics stay few."""
    route = scope.get("route")
    return getattr(route, "path", None) or OTHER
