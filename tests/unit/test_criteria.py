"""One criterion of the gate: limits and margins are still good, and the reason can be read."""

from __future__ import annotations

import pytest

from digits.promotion.criteria import (
    MEGABYTES,
    MILLISECONDS,
    NUMBER,
    SHARE,
    Criterion,
    accuracy_fault,
    judged,
    loss_fault,
    ratio_fault,
    written,
)
from digits.promotion.paired import Difference, McNemar


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, SHARE, "–"),
        (0.98765, SHARE, "98.77 %"),
        (0.125, NUMBER, "0.12"),
        (1.2345, MILLISECONDS, "1.23 ms"),
        (42.0, MEGABYTES, "42 MB"),
    ],
)
def test_value_is_written_with_its_unit(value, unit, text):
    assert written(value, unit) == text


def of_share(value, champion=None, **changes):
    options = {"limit": None, "margin": None, "low_is_good": False, "fault": None} | changes
    return judged("figure", SHARE, value, champion, **options)


@pytest.mark.parametrize(
    ("value", "champion", "changes", "passed", "why"),
    [
        (0.5, None, {}, True, "no limit is set"),
        (0.5, 0.4, {}, True, "no limit is set"),
        (0.5, None, {"margin": 0.1}, True, "no limit is set"),
        (0.9, None, {"limit": 0.9}, True, "90.00 %, at least 90.00 % wanted"),
        (0.89, None, {"limit": 0.9}, False, "89.00 %, at least 90.00 % wanted"),
        (0.1, None, {"limit": 0.1, "low_is_good": True}, True, "10.00 %, at most 10.00 % wanted"),
        (0.2, None, {"limit": 0.1, "low_is_good": True}, False, "20.00 %, at most 10.00 % wanted"),
        (0.5, 0.4, {"margin": 0.1}, True, "holds against the champion's 40.00 %"),
        (
            0.5,
            0.4,
            {"margin": 0.1, "limit": 0.3},
            True,
            "50.00 %, at least 30.00 % wanted; holds against the champion's 40.00 %",
        ),
        (0.5, 0.7, {"margin": 0.1, "limit": 0.3, "fault": "too bad"}, False, "too bad"),
        (
            0.2,
            0.7,
            {"margin": 0.1, "limit": 0.3, "fault": "too bad"},
            False,
            "20.00 %, at least 30.00 % wanted; too bad",
        ),
        (None, 0.7, {}, True, "no limit is set"),
        (None, 0.7, {"margin": 0.1}, False, "it cannot be measured"),
        (None, 0.7, {"limit": 0.1, "unknown": "it is empty"}, False, "it is empty"),
    ],
)
def test_value_is_held_against_its_limits(value, champion, changes, passed, why):
    found = of_share(value, champion, **changes)
    assert (found.passed, found.why) == (passed, why)


def test_criterion_keeps_what_it_was_judged_by():
    difference = Difference(0.1, -0.1, 0.2)
    found = of_share(0.5, 0.4, limit=0.6, margin=0.1, low_is_good=True, difference=difference)
    assert found == Criterion(
        "figure", SHARE, 0.5, True, found.why, 0.4, 0.6, 0.1, low_is_good=True,
        difference=difference,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("new", "old", "ratio", "slack", "fault"),
    [
        (9.0, None, 2.0, 0.0, None),
        (9.0, 3.0, None, 0.0, None),
        (6.0, 3.0, 2.0, 0.0, None),
        (7.0, 3.0, 2.0, 4.0, None),
        (7.5, 3.0, 2.0, 4.0, "2.50 times the champion's, 2 times are allowed"),
    ],
)
def test_ratio_is_beyond_its_limit_and_its_slack(new, old, ratio, slack, fault):
    assert ratio_fault(new, old, ratio, slack=slack) == fault


def test_no_slack_is_given_unless_said():
    assert ratio_fault(0.3, 0.1, 2.0) == "3.00 times the champion's, 2 times are allowed"


@pytest.mark.parametrize(
    ("loss", "test", "fault"),
    [
        (0.01, McNemar(0, 5, 0.06), None),  # the margin itself may be lost
        (0.01, McNemar(0, 5, 0.05), None),  # and the level itself is still chance
        (0.01, McNemar(30, 5, 0.001), None),  # gained for real
        (
            0.02,
            McNemar(0, 5, 0.06),
            "2.00 % below the champion, 1.00 % are allowed (5 digits lost, 0 gained, p = 0.06)",
        ),
        (
            0.001,
            McNemar(5, 30, 0.001),
            "worse than the champion, and not by chance (30 digits lost, 5 gained, p = 0.001)",
        ),
    ],
)
def test_accuracy_is_lost_by_more_than_the_margin_or_not_by_chance(loss, test, fault):
    assert accuracy_fault(loss, 0.01, test, 0.05) == fault


@pytest.mark.parametrize("low_is_good", [False, True])
@pytest.mark.parametrize(
    ("loss", "least", "most", "is_fault"),
    [
        (0.02, 0.01, 0.03, False),  # real, and the margin itself may be lost
        (0.03, 0.0, 0.06, False),  # beyond the margin, and no loss at all is just possible
        (0.03, -0.01, 0.07, False),
        (0.03, 0.001, 0.06, True),
        (-0.03, -0.06, -0.001, False),
    ],
)
def test_loss_beyond_the_margin_that_chance_does_not_explain(
    loss, least, most, is_fault, low_is_good
):
    rise, fall = Difference(loss, least, most), Difference(-loss, -most, -least)
    fault = loss_fault(rise if low_is_good else fall, 0.02, low_is_good=low_is_good)
    told = "3.00 % worse than the champion, 2.00 % allowed, not by chance"
    assert fault == (told if is_fault else None)
