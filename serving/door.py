"""The front door: what holds for every request, whichever route it takes.

In front of FastAPI, so that a limit or a header cannot be forgotten at a route, and so that the
few hot routes are answered without the cost of a framework.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping

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
from serving.head import check_head
from serving.headers import missing, of_answer
from serving.intake import ClientGoneError, read_body
from serving.logs import Journal
from serving.metrics import Metrics
from serving.settings import Limits
from serving.traces import Traces
from serving.turn import Turn
from serving.visit import InFlight, Visit

BEGUN = "digits.begun"  # in the scope: what is left to await of an answer that has been begun
LABELLING = (f"/v1/labelling/{act}" for act in ("next", "label", "skip", "undo"))
FORMS = frozenset({"/v1/feedback", *LABELLING})  # POST with a few fields and no image
FORM_BYTES = 4096  # of those, and of all that are not POST
GONE = (OSError, RuntimeError)  # of ASGI servers and of uvloop, where nobody is left to send to
OTHER = "other"  # the route of what the service does not know, in metrics


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
        together: runs the model for all requests of a turn.

    Attributes:
        hot_paths: of the routes whose requests :meth:`answer` takes.
        turn: answers those that have arrived together.
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
        together: Callable[[], None] = lambda: None,
    ) -> None:
        self._app = app
        self._hot = hot
        self.hot_paths = frozenset(path.encode() for path in hot)
        self._limits = limits
        self._guard = guard
        self._metrics = metrics
        self._journal = journal
        self._traces = traces
        self.in_flight = in_flight or InFlight()
        self.turn = Turn(self.in_flight, limits.in_flight, together)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's request; anything but HTTP goes through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if BEGUN in scope:
            with contextlib.suppress(ClientGoneError):
                await _send(send, await scope[BEGUN])
            return
        with self._visit(scope, dict(scope["headers"])) as visit:
            answer = await self._in_any_case(visit, self._serve(visit, receive, send))
            if answer is not None:
                await _send(send, answer)

    async def answer(self, scope: Scope, headers: dict[bytes, bytes], body: bytes) -> Answer:
        """Answer a POST to a hot route whose body has arrived: the same without ASGI's messages."""
        with self._visit(scope, headers) as visit:
            answer = await self._in_any_case(visit, self._serve_hot(visit, body))
        assert answer is not None, "a hot route answers"
        return answer

    def _visit(self, scope: Scope, headers: dict[bytes, bytes]) -> Visit:
        return Visit(self.in_flight, self._tell, scope, headers)

    def _tell(self, visit: Visit, seconds: float) -> None:
        """Count a request that has ended, and write it down where that is asked for."""
        scope, status = visit.scope, visit.status
        route = scope["path"] if scope["path"] in self._hot else _route(scope)
        self._metrics.request(route, status, seconds)
        self._journal.request(scope, route, status, seconds, visit.id, visit.fault)
        if self._traces is not None:
            method = scope["method"]
            self._traces.request(method, route, status, seconds, visit.id, visit.headers)

    async def _in_any_case(self, visit: Visit, serving: Awaitable[Answer | None]) -> Answer | None:
        """Return the answer, which may say what went wrong; None: it is sent already."""
        try:
            answer = await serving
        except ClientGoneError:
            raise
        except Exception as fault:
            visit.fault = refusal = fault
            if not isinstance(refusal, RequestError):
                refusal = RequestError(500, "internal", BROKEN)
            answer = error_answer(refusal, visit.id)
        if answer is not None:
            answer.request_id, visit.status = visit.id, answer.status
        return answer

    async def _serve(self, visit: Visit, receive: Receive, send: Send) -> Answer | None:
        """Read the body, and have the request answered where it belongs."""
        limit, seconds = self._admit(visit), self._limits.request_seconds
        body = await read_body(visit.headers, receive, limit=limit, seconds=seconds)
        scope = visit.scope
        if scope["method"] == "POST" and scope["path"] in self._hot:
            return await self._hot[scope["path"]](_call(visit, body))
        await self._pass_on(visit, body, receive, send)
        return None

    async def _serve_hot(self, visit: Visit, body: bytes) -> Answer:
        check_head(visit.headers, self._admit(visit))
        return await self._hot[visit.scope["path"]](_call(visit, body))

    def _admit(self, visit: Visit) -> int:
        """Let the request pass, and return how many bytes it may have.

        Raises:
            RequestError: too many are at work, or the guard refuses it.
        """
        scope = visit.scope
        if self.in_flight.count > self._limits.in_flight and not is_probe(scope):
            raise RequestError(
                503, "busy", "too many requests are at work; try again", {"Retry-After": "1"}
            )
        self._guard.admit(scope, visit.headers)
        limit = self._limits.body_bytes
        if scope["method"] != "POST" or scope["path"] in FORMS:
            return min(limit, FORM_BYTES)
        return limit

    async def _pass_on(self, visit: Visit, body: bytes, receive: Receive, send: Send) -> None:
        """Let the framework answer, with the body already read."""
        scope = visit.scope
        waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        is_begun = False

        async def again() -> Message:
            return waiting.pop() if waiting else await receive()

        async def marked(message: Message) -> None:
            nonlocal is_begun
            if message["type"] == "http.response.start":
                is_begun, visit.status = True, message["status"]
                present = message["headers"]
                message["headers"] = [*present, *missing(present, visit.id)]
            try:
                await send(message)
            except GONE as error:
                raise ClientGoneError from error

        scope["digits.request_id"] = visit.id
        is_head = scope["method"] == "HEAD"
        inner = {**scope, "method": "GET"} if is_head else scope  # the server leaves the body out
        try:
            await self._app(inner, again, marked)
        except ClientGoneError:
            raise
        except Exception as fault:
            if not is_begun:
                raise
            visit.fault = fault  # the framework has answered, and raises it for the log
        finally:
            scope["route"] = inner.get("route")


def _call(visit: Visit, body: bytes) -> Call:
    scope = visit.scope
    return Call(scope["path"], scope["query_string"], visit.headers, body, visit.id)


async def _send(send: Send, answer: Answer) -> None:
    start = {
        "type": "http.response.start",
        "status": answer.status,
        "headers": of_answer(answer),
    }
    try:
        await send(start)
        await send({"type": "http.response.body", "body": answer.body})
    except GONE as error:
        raise ClientGoneError from error


def _route(scope: Scope) -> str:
    """Name the route by its pattern, never by what the client typed: metrics stay few."""
    route = scope.get("route")
    return getattr(route, "path", None) or OTHER
