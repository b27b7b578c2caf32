"""The address of an online store, as one URL whatever it is, and what Feast wants of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from digits.errors import FeatureError

FORMS = (
    "sqlite:///<path>, redis://<host>[:<port>][/<number>] (rediss: over TLS) or "
    "postgresql://<user>@<host>[:<port>]/<database>"
)
ANSWER_SECONDS = 5
DRIVERS = frozenset({"redis", "psycopg", "psycopg_pool", "sqlite3"})


class Address:
    """Where the online store is.

    Args:
        url: see :data:`FORMS`. It is recorded with every run, so a password stands in the
            environment: ``PGPASSWORD``, ``REDISCLI_AUTH``.

    Raises:
        ValueError: it is of no such form, or has a password.
    """

    def __init__(self, url: str) -> None:
        self._url, self._parts = url, urlsplit(url)
        makers = {
            "sqlite": _sqlite,
            "redis": _redis,
            "rediss": _redis,
            "postgresql": _postgres,
        }
        if self._parts.password:
            raise ValueError("leave the password out; put it in PGPASSWORD or REDISCLI_AUTH")
        if self._parts.scheme not in makers:
            raise ValueError(f"must be {FORMS}; not {self._parts.scheme or url!r}")
        try:
            #: what Feast's configuration has as ``online_store``
            self.settings: dict[str, Any] = makers[self._parts.scheme](self._parts)
        except ValueError as error:
            raise ValueError(f"{self}: {error}; it must be {FORMS}") from None

    def __str__(self) -> str:
        """Return the address."""
        return self._url

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn what drivers raise into a FeatureError on one line."""
        try:
            yield
        except Exception as error:
            module = type(error).__module__.partition(".")[0]
            if module not in DRIVERS and not isinstance(error, ConnectionError | TimeoutError):
                raise
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise FeatureError(f"features.online: {self} cannot be used: {lines[0]}") from error


def _sqlite(url: SplitResult) -> dict[str, Any]:
    if url.netloc or len(url.path) < 2:
        raise ValueError("no path")
    path = unquote(url.path)[1:]
    return {"type": "sqlite", "path": str(Path(path).expanduser().absolute())}


def _redis(url: SplitResult) -> dict[str, Any]:
    number = url.path.strip("/") or "0"
    if not url.hostname or not number.isdecimal():
        raise ValueError("no host, or no number of a database")
    words = [f"{url.hostname}:{url.port or 6379}", f"db={number}"]
    if url.username:
        words.append(f"username={unquote(url.username)}")
    if password := os.environ.get("REDISCLI_AUTH"):
        words.append(f"password={password}")
    if url.scheme == "rediss":
        words.append("ssl=true")
    words.append(f"socket_connect_timeout={ANSWER_SECONDS}")
    return {"type": "redis", "connection_string": ",".join(words)}


def _postgres(url: SplitResult) -> dict[str, Any]:
    database = url.path.strip("/")
    if not url.hostname or not url.username or not database:
        raise ValueError("no host, user or database")
    modes = parse_qs(url.query).get("sslmode", ["prefer"])
    return {
        "type": "postgres",
        "host": url.hostname,
        "port": url.port or 5432,
        "database": database,
        "user": unquote(url.username),
        "password": os.environ.get("PGPASSWORD", ""),
        "sslmode": modes[0],
    }
