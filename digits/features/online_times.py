"""Times of online rows, to the microsecond, in UTC: what they are compared by must be exact."""

from __future__ import annotations

import functools
import os
import sqlite3
from datetime import UTC, datetime


def keep_exact() -> None:
    """Have SQLite keep more than whole seconds, and PostgreSQL take times for those of UTC.

    Feast hands both the time of UTC without saying so, and has SQLite cut it. Call this when Feast
    is imported and before it connects.
    """
    sqlite3.register_adapter(datetime, _to_text)
    sqlite3.register_converter("timestamp", _from_text)
    os.environ.setdefault("PGTZ", "UTC")  # read by PostgreSQL's own library


@functools.lru_cache(maxsize=8)  # every field of a row has the same two
def _to_text(time: datetime) -> str:
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).isoformat()


def _from_text(content: bytes) -> datetime:
    return datetime.fromisoformat(content.decode())
