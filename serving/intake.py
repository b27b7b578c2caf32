"""Taking in a request's body, within bounds."""

from __future__ import annotations

import asyncio

from serving.call import Receive
from serving.errors import RequestError
from serving.head import check_head, too_large


class ClientGoneError(Exception):
    """The client went away before it had its answer."""


async def read_body(
    headers: dict[bytes, bytes], receive: Receive, *, limit: int, seconds: float
) -> bytes:
    """Read a body of ``limit`` bytes at most, within ``seconds``.

    Raises:
        RequestError: it is too large, compressed, or does not arrive in time.
        ClientGoneError: it will never arrive.
    """
    check_head(headers, limit)
    try:
        async with asyncio.timeout(seconds):
            return await _read(receive, limit)
    except TimeoutError as error:
        raise RequestError(
            408, "too_slow", f"the body took more than {seconds:g} s", {"Connection": "close"}
        ) from error


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
            raise too_large(limit)
        parts.append(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)
