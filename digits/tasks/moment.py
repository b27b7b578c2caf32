"""Times as they are typed: a day, a moment, or seconds."""

from __future__ import annotations

from datetime import UTC, datetime

from digits.errors import ConfigError, Finding


def moment(key: str, typed: str | float | None) -> float | None:
    """Return what was typed as ``key`` in seconds since 1970 (UTC); None stays None.

    A time without a zone is of UTC.

    Raises:
        ConfigError: it is no time.
    """
    if typed is None or isinstance(typed, int | float):
        return typed
    try:
        found = datetime.fromisoformat(typed)
    except ValueError:
        message = f"{typed} is no time: write 2026-01-31, 2026-01-31T12:00 or seconds since 1970"
        raise ConfigError([Finding(key, message)]) from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
