"""Times as they are typed."""

from __future__ import annotations

import pytest

from digits.contract.moment import moment
from digits.errors import ConfigError

NOW = 1700003600.0


@pytest.mark.parametrize(
    ("typed", "seconds"),
    [
        (None, None),
        (1700000000, 1700000000),
        (1700000000.5, 1700000000.5),
        ("2023-11-14", 1699920000),
        ("2023-11-14T22:13:20", 1700000000),
        ("2023-11-14 22:13:20", 1700000000),
        ("2023-11-14T22:13:20Z", 1700000000),
        ("2023-11-14T23:13:20+01:00", 1700000000),
        ("1h", 1700000000),
        ("90s", 1700003510),
        ("0.5d", 1699960400),
    ],
)
def test_a_day_a_moment_seconds_or_an_age(typed, seconds):
    assert moment(typed, key="since", now=NOW) == seconds


@pytest.mark.parametrize(
    "typed",
    [
        "yesterday",
        "",
        "2023-13-01",
        "12:00",
        "3 weeks",
        "-1h",
        20260131,
        True,
        float("nan"),
        1e300,
        "9999999999999d",
    ],
)
def test_what_is_no_time_is_refused_with_its_key(typed):
    with pytest.raises(ConfigError, match=r"until  .*is no time: write 2026-01-31"):
        moment(typed, key="until", now=NOW)
