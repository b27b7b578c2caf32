"""The headers that every answer has, for both ways out: as ASGI messages, and as bytes."""

from __future__ import annotations

import http
from collections.abc import Iterable

from serving.call import Answer

Header = tuple[bytes, bytes]

#: of every answer; a page states its own policy, which then stands instead
FIXED: tuple[Header, ...] = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
CLOSE: Header = (b"connection", b"close")


def lines(headers: Iterable[Header]) -> bytes:
    """Return headers as HTTP/1.1 has them."""
    return b"".join([b"%b: %b\r\n" % header for header in headers])


_FIXED = lines(FIXED)
_STATUS = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode()
    for status in http.HTTPStatus
}


def of_answer(answer: Answer) -> list[Header]:
    """Return all headers of an answer."""
    return [
        (b"content-type", answer.content_type),
        (b"content-length", b"%d" % len(answer.body)),
        (b"x-request-id", answer.request_id.encode()),
        *FIXED,
        *answer.headers,
    ]


def missing(present: Iterable[Header], request_id: str) -> list[Header]:
    """Return what is to be added to the headers that a framework has set."""
    names = {name.lower() for name, _ in present}
    wanted = [(b"x-request-id", request_id.encode()), *FIXED]
    return [header for header in wanted if header[0] not in names]


def message(answer: Answer, further: bytes) -> bytes:
    """Return the whole answer as it is sent over HTTP/1.1.

    Args:
        answer: with the same headers as :func:`of_answer` gives.
        further: lines of the server's own.
    """
    return b"%b%bcontent-type: %b\r\ncontent-length: %d\r\nx-request-id: %b\r\n%b%b\r\n%b" % (
        _STATUS[answer.status],
        further,
        answer.content_type,
        len(answer.body),
        answer.request_id.encode(),
        _FIXED,
        lines(answer.headers) if answer.headers else b"",
        answer.body,
    )
