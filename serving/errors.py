"""What a caller did wrong, or what the service cannot do now; one JSON shape for all of it."""

from __future__ import annotations

from collections.abc import Mapping

BROKEN = "the service failed; its log has the reason"


class RequestError(Exception):
    """A request that is answered with an error.

    Attributes:
        status: of HTTP, 400 to 599.
        code: names the kind of fault for programs, in snake_case; never changes.
        message: says to a person what is wrong and, where it helps, what is right.
        headers: further headers of the answer, for example ``Retry-After``.
    """

    def __init__(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})
        super().__init__(message)
