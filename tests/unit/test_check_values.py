"""The check of values against the annotations of their parameters."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.checking import findings, toy


def of_hollow(**arguments: Any) -> list[str]:
    return findings({"task": toy(hollow="${hollow}"), "hollow": toy("Hollow", **arguments)})


def messages(**arguments: Any) -> list[str]:
    return [fault.removeprefix("hollow.") for fault in of_hollow(**arguments)]


@pytest.mark.parametrize(
    "arguments",
    [
        {"flag": True},
        {"count": -3},
        {"ratio": 1},
        {"ratio": 1e-3},
        {"share": None},
        {"share": 0},
        {"text": "x"},
        {"either": 3},
        {"either": [1, 2]},
        {"either": None},
        {"pair": [0, 0.5]},
        {"numbers": [1, 2.5]},
        {"numbers": []},
        {"mode": "slow"},
        {"colour": "blue"},
        {"table": {"a": 1}},
        {"path": "/some/where"},
        {"call": "whatever"},
        {"sound": 3},
        {"odd": 3},
        {"free": {"any": [1, "x", None]}},
        {"loose": None},
        {"shape": None},
        {"modes": ["slow", "fast"]},
        {"words": ["ab"]},
        {"few": [1]},
        {"even": 4},
        {"side": 3},
    ],
)
def test_a_value_that_suits_passes(arguments: dict[str, Any]) -> None:
    assert of_hollow(**arguments) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"flag": 1}, "flag: must be true or false, not 1"),
        ({"flag": "yes"}, 'flag: must be true or false, not "yes"'),
        ({"count": 1.5}, "count: must be a whole number, not 1.5"),
        ({"count": 2.0}, "count: must be a whole number, not 2.0"),
        ({"count": True}, "count: must be a whole number, not true"),
        ({"count": "3"}, 'count: must be a whole number, not "3"'),
        ({"count": None}, "count: must be a whole number, not null"),
        ({"ratio": "ten"}, 'ratio: must be a number, not "ten"'),
        ({"ratio": True}, "ratio: must be a number, not true"),
        ({"ratio": [1]}, "ratio: must be a number, not [1]"),
        ({"ratio": float("nan")}, "ratio: must be a finite number, not nan"),
        ({"ratio": float("-inf")}, "ratio: must be a finite number, not -inf"),
        ({"numbers": [1, float("inf")]}, "numbers[1]: must be a finite number, not inf"),
        ({"free": {"a": float("inf")}}, "free.a: must be a finite number, not inf"),
        ({"share": 1}, "share: must be less than 1, not 1"),
        ({"share": -0.5}, "share: must be at least 0, not -0.5"),
        ({"share": "x"}, 'share: must be a number or null, not "x"'),
        ({"text": 3}, "text: must be text, not 3"),
        (
            {"either": "x"},
            'either: must be a whole number, a list of whole numbers or null, not "x"',
        ),
        ({"either": [1, "x"]}, 'either[1]: must be a whole number, not "x"'),
        ({"pair": [1]}, "pair: has too few items: [1]"),
        ({"pair": [1, 2, 3]}, "pair: must be of length 2 or less, not 3"),
        ({"pair": [1, "x"]}, 'pair[1]: must be a number, not "x"'),
        ({"numbers": 3}, "numbers: must be a list of numbers or null, not 3"),
        ({"numbers": [1, True]}, "numbers[1]: must be a number, not true"),
        ({"mode": "fats"}, 'mode: must be fast or slow, not "fats"'),
        ({"colour": "green"}, 'colour: must be red or blue, not "green"'),
        ({"table": {"a": "x"}}, 'table.a: must be a whole number, not "x"'),
        ({"table": [1]}, "table: must be a mapping or null, not [1]"),
        ({"path": 3}, "path: must be a path or text, not 3"),
        ({"shape": 3}, "shape: must be a Shape or null, not 3"),
        ({"modes": ["slow", "fats"]}, 'modes[1]: must be fast or slow, not "fats"'),
        ({"colours": ["red", "green"]}, 'colours[1]: must be red or blue, not "green"'),
        ({"words": ["a"]}, "words[0]: must be of length 2 or more, not 1"),
        ({"words": [3]}, "words[0]: must be text, not 3"),
        ({"few": []}, "few: must be of length 1 or more, not 0"),
        ({"even": 3}, "even: must be a multiple of 2, not 3"),
        ({"half": 0.7}, "half: must be at most 0.5, not 0.7"),
        ({"tag": "abcd"}, "tag: must be of length 3 or less, not 4"),
        ({"tag": "b"}, "tag: String should match pattern '^a', not \"b\""),
        ({"side": "x"}, 'side: must be a whole number, not "x"'),
        ({"loose": None, "count": "3"}, 'count: must be a whole number, not "3"'),
        ({"loose": "x"}, 'loose: must be a number, not "x"'),
    ],
)
def test_a_value_that_does_not_suit_is_one_short_sentence(
    arguments: dict[str, Any], message: str
) -> None:
    assert messages(**arguments) == [message]


def test_the_numbers_of_the_task_itself_have_to_be_finite() -> None:
    assert findings({"task": toy(values=[1, float("nan")])}) == [
        "task.values[1]: must be a finite number, not nan"
    ]
    assert findings({"task": toy(shape=toy("Shape", _args_=[float("nan")]))}) == [
        "task.shape._args_[0]: must be a finite number, not nan"
    ]


def test_a_dataclass_states_ranges_too() -> None:
    assert findings({"task": toy(point=toy("Point", x=10))}) == [
        "task.point.x: must be at most 9, not 10"
    ]


def test_a_list_of_the_configuration_is_judged_item_by_item() -> None:
    assert findings({"task": toy(values=[1, 2])}) == []
    assert findings({"task": toy(values=[1, "${x}"]), "x": 2.5}) == [
        "x: must be a whole number, not 2.5"
    ]
