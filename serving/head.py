"""What a request's headers say: of its body, and of who sends it."""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable

from serving.errors import RequestError

REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


def check_head(headers: dict[bytes, bytes], limit: int) -> None:
    """Look at what the headers say of the body.

    Raises:
        RequestError: it has more than ``limit`` bytes, or is compressed.
    """
    length = headers.get(b"content-length")
    if length is not None and (not length.isdigit() or int(length) > limit):
        raise too_large(limit)
    if headers.get(b"content-encoding", b"identity") != b"identity":
        raise RequestError(415, "compressed", "send the body as it is, not compressed")


def too_large(limit: int) -> RequestError:
    """Return the refusal of a body of more than ``limit`` bytes."""
    # The rest of the body is not read: the connection cannot be used again.
    return RequestError(
        413, "too_large", f"the body may have {limit:,} bytes", {"Connection": "close"}
    )


def request_id(headers: dict[bytes, bytes]) -> str | None:
    """Return the client's own name for the request, where that is a proper one."""
    given = headers.get(b"x-request-id", b"")
    return given.decode() if REQUEST_ID.fullmatch(given) else None


def shown_key(headers: dict[bytes, bytes]) -> bytes | None:
    """Return the API key that a client shows; None where it shows none."""
    if key := headers.get(b"x-api-key"):
        return key
    kind, _, token = headers.get(b"authorization", b"").partition(b" ")
    return token.strip() or None if kind.lower() == b"bearer" else None


def check_key(shown: bytes | None, keys: Iterable[bytes]) -> None:
    """Hold the key that a client shows against those that are known.

    Raises:
        RequestError: it is none of them.
    """
    right = False
    for key in keys:  # all of them, so that the time tells nothing
        right |= hmac.compare_digest(key, shown or b"")
    if not right:
        what = "is not one of this service's" if shown else "is asked for"
        raise RequestError(
            401,
            "key_needed",
            f"an API key {what}: send it as X-API-Key or as Authorization: Bearer",
            {"WWW-Authenticate": "Bearer"},
        )
