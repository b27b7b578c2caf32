"""A time as a person types it."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from digits.errors import ConfigError, Finding

_AGO = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|d)")
EARLIEST = 946_684_800.0  # 2000-01-01: 20260131 is a day without its dashes, not these seconds
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def moment(value: str | float | None, *, key: str, now: float) -> float | None:
    """Return the time that was typed, in seconds since 1970 (UTC); None stays None.

    Args:
        value: those seconds; a date or time of ISO 8601, in UTC where it names no zone; or how long
            ago, for example ``90s``, ``30m``, ``12h``, ``7d``.
        key: that it was typed for.
        now: the time that ages count from.

    Raises:
        ConfigError: it is none of these, or of before this century.
    """
    if value is None:
        return None
    try:
        found = _seconds(value, now)
        if found >= EARLIEST and told(found):  # years above 9999 have no date
            return found
    except (ValueError, OverflowError, OSError):
        pass
    message = f"{value!r} is no time: write 2026-01-31T12:00, or an age such as 30m, 12h or 7d"
    raise ConfigError([Finding(key, message)])


def _seconds(value: str | float, now: float) -> float:
    if isinstance(value, bool):
        raise ValueError(value)
    if isinstance(value, int | float):
        return float(value)
    if ago := _AGO.fullmatch(value.strip()):
        return now - float(ago[1]) * SECONDS[ago[2]]
    found = datetime.fromisoformat(value.strip())
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def told(seconds: float) -> str:
    """Return a time in seconds since 1970 as ``2026-01-31 12:00:00 UTC``."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
