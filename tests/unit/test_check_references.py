"""The check of values that cannot be had: missing, dangling, circular."""

from __future__ import annotations

import pytest

from tests.unit.checking import findings, toy


def test_a_missing_value_is_reported_at_its_own_key_however_it_is_reached() -> None:
    tree = {
        "task": toy(shape="${shape}", rate="${rate}"),
        "shape": toy("Shape", size="???", sides="${rate}"),
        "rate": "???",
    }
    assert findings(tree) == [
        "shape.size: has no value yet: type shape.size=...",
        "rate: has no value yet: type rate=...",
    ]


def test_a_dangling_reference_names_what_it_seeks_and_what_is_near() -> None:
    tree = {"task": toy(shape="${shap}"), "shape": toy("Shape")}
    assert findings(tree) == [
        "task.shape: refers to shap, which does not exist; did you mean shape?",
        "shape: nothing reads this key",
    ]


def test_a_dangling_reference_deep_in_a_chain_is_reported_once() -> None:
    tree = {"task": toy(rate="${a}"), "a": "${b.c}", "b": {"d": 1}}
    assert findings(tree) == [
        "a: refers to b.c, which does not exist",
        "b: nothing reads this key",
    ]


def test_relative_references_are_followed() -> None:
    tree = {"task": toy(seed=3, rate="${.seed}", shape=toy("Shape", size="${..seed}", sides="x"))}
    assert findings(tree) == ['task.shape.sides: must be a whole number, not "x"']


def test_a_relative_reference_out_of_the_tree_is_a_fault() -> None:
    tree = {"task": toy(rate="${.....seed}")}
    assert findings(tree) == ["task.rate: refers to .....seed, which lies outside the tree"]


def test_a_reference_through_a_reference_is_read_where_it_leads() -> None:
    tree = {
        "task": toy(rate="${alias.size}"),
        "alias": "${shape}",
        "shape": {"size": -2, "other": 1},
    }
    assert findings(tree) == ["shape.size: must be greater than 0, not -2"]


def test_a_reference_whose_key_is_itself_a_reference_is_followed() -> None:
    tree = {"task": toy(rate="${rates.${which}}"), "which": "low", "rates": {"low": -1}}
    assert findings(tree) == ["rates.low: must be greater than 0, not -1"]


def test_a_circle_of_references_is_a_fault() -> None:
    tree = {"task": toy(rate="${a}"), "a": "${b}", "b": "${a}"}
    assert findings(tree) == ["a: refers to itself"]


def test_a_node_that_holds_itself_is_a_fault() -> None:
    tree = {"task": toy(bag="${bag}"), "bag": toy("Bag", inner={"bag": "${bag}"})}
    assert findings(tree) == ["bag: refers to itself"]


def test_an_unknown_resolver_is_a_fault() -> None:
    assert findings({"task": toy(rate="${nosuch:1}")}) == [
        "task.rate: ${nosuch:1} cannot be resolved: Unsupported interpolation type nosuch"
    ]


def test_an_unset_environment_variable_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DIGITS_NOT_SET", raising=False)
    (fault,) = findings({"task": toy(rate="${oc.env:DIGITS_NOT_SET}")})
    assert fault.startswith("task.rate: ") and "DIGITS_NOT_SET" in fault


def test_a_broken_expression_is_a_fault() -> None:
    (fault,) = findings({"task": toy(rate="${oc.decode:'['}")})
    assert fault.startswith("task.rate: ") and "cannot be resolved" in fault


def test_text_around_a_reference_is_reported_at_the_text() -> None:
    tree = {"task": toy(rate="x${seed}", seed="${seed}"), "seed": 1}
    assert findings(tree) == ['task.rate: must be a number, not "x1"']


def test_values_selected_by_a_resolver_count_as_read() -> None:
    tree = {
        "task": toy(row=toy("Row", shapes="${oc.dict.values:shapes}"), rate="${oc.select:r,2}"),
        "shapes": {"a": toy("Shape", size=-1), "b": toy("Shape", size=0)},
        "r": -3,
    }
    assert findings(tree) == [
        "task.rate: must be greater than 0, not -3",
        "shapes.a.size: must be greater than 0, not -1",
        "shapes.b.size: must be greater than 0, not 0",
    ]
