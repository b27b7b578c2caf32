"""A request and its answer, as small as they can be: the hot routes know nothing else of HTTP."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs

import orjson

from serving.errors import RequestError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

JSON = b"application/json"
TRUTH = {"true": True, "1": True, "false": False, "0": False}


@dataclass(slots=True)
class Call:
    """A request whose body has arrived.

    Attributes:
        path: without the query.
        query: after the question mark, still encoded.
        headers: by their names in lower case; of a repeated one the last.
        body: within the limits.
        id: of the request, in logs and in the answer's header.
    """

    path: str
    query: bytes
    headers: dict[bytes, bytes]
    body: bytes
    id: str

    @property
    def content_type(self) -> str:
        """What the body is said to be, in lower case and without parameters."""
        return _media_type(self.headers.get(b"content-type", b""))

    def parameters(self, *known: str) -> dict[str, str]:
        """Return the query's parameters.

        Raises:
            RequestError: one is not ``known``, or is given twice.
        """
        if not self.query:
            return {}
        try:
            given = parse_qs(self.query.decode("latin-1"), keep_blank_values=True, errors="strict")
        except ValueError as error:
            raise RequestError(400, "bad_query", "the query is not properly encoded") from error
        for name, values in given.items():
            if name not in known:
                raise RequestError(
                    422,
                    "unknown_field",
                    f"unknown parameter {name[:50]!r}; known: {', '.join(known) or 'none'}",
                )
            if len(values) > 1:
                raise RequestError(422, "bad_query", f"the parameter {name} is given twice")
        return {name: values[0] for name, values in given.items()}


@lru_cache(64)  # nearly every request has one of a few
def _media_type(header: bytes) -> str:
    return header.partition(b";")[0].strip().lower().decode("latin-1")


def truth(parameters: dict[str, str], name: str, *, default: bool) -> bool:
    """Read a parameter that is true or false.

    Raises:
        RequestError: it is neither.
    """
    if name not in parameters:
        return default
    try:
        return TRUTH[parameters[name].lower()]
    except KeyError:
        raise RequestError(422, "bad_query", f"{name} must be true or false") from None


@dataclass(slots=True)
class Answer:
    """What is sent back.

    Attributes:
        headers: further ones than those that every answer has.
        request_id: which of all; the door sets it.
    """

    body: bytes
    status: int = 200
    content_type: bytes = JSON
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    request_id: str = ""


Endpoint = Callable[[Call], Awaitable[Answer]]


def json_answer(content: Any, status: int = 200) -> Answer:
    """Answer with JSON; NumPy arrays are lists."""
    return Answer(orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY), status)


def error_answer(error: RequestError, request_id: str) -> Answer:
    """Answer with the one shape that every error has."""
    answer = json_answer(
        {"error": error.message, "code": error.code, "request_id": request_id}, error.status
    )
    answer.headers = [
        (name.lower().encode(), value.encode()) for name, value in error.headers.items()
    ]
    return answer
