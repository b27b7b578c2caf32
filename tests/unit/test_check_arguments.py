"""The check of arguments against signatures, plain values and nodes."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, get_args

import pytest

from digits.config.allowed import Slot
from digits.config.rules import Defined
from digits.config.signatures import signature_of
from tests.unit import targets
from tests.unit.checking import TOY, TOYS, findings, toy


def test_an_unknown_argument_is_named_with_the_one_meant() -> None:
    tree = {"task": toy(shape=toy("Shape", siz=1))}
    assert findings(tree) == [f"task.shape.siz: unexpected for {TOY}.Shape; did you mean size?"]


def test_a_misspelt_special_key_is_named() -> None:
    tree = {"task": toy(_partal_=True)}
    assert findings(tree) == [f"task._partal_: unexpected for {TOY}.task; did you mean _partial_?"]


def test_a_missing_argument_is_no_fault_of_a_partial() -> None:
    assert findings({"task": toy(make=toy("Point", _partial_=True))}) == []
    assert findings({"task": toy(point=toy("Point"))}) == [
        f"task.point.x: required by {TOY}.Point, not given"
    ]


def test_what_a_partial_receives_is_known_for_some_slots() -> None:
    slots = (Slot("task.make", Defined((TOY,)), receives=frozenset({"y"})), *TOYS)
    assert findings({"task": toy(make=toy("Point", _partial_=True))}, slots=slots) == [
        f"task.make.x: required by {TOY}.Point, not given"
    ]


def test_keyword_arguments_are_followed_to_the_parent() -> None:
    tree = {"task": toy(shape=toy("Square", name="a", size=-1, sides=3, colour=1))}
    assert findings(tree) == [
        "task.shape.size: must be greater than 0, not -1",
        f"task.shape.colour: unexpected for {TOY}.Square",
    ]


def test_keyword_arguments_that_go_nowhere_known_are_accepted() -> None:
    assert findings({"task": toy(bag=toy("Bag", whatever=1, more=[1, {"a": 2}]))}) == []
    assert findings({"task": toy(bag=toy("Bag", whatever=float("inf")))}) == [
        "task.bag.whatever: must be a finite number, not inf"
    ]


def test_positional_arguments_count_and_are_judged() -> None:
    assert findings({"task": toy(shape=toy("Shape", _args_=[2, 3]))}) == []
    assert findings({"task": toy(shape=toy("Shape", _args_=[2, "x"], size=1))}) == [
        'task.shape._args_[1]: must be a whole number, not "x"',
        f"task.shape.size: given twice to {TOY}.Shape: also in _args_",
    ]
    assert findings({"task": toy(shape=toy("Shape", _args_=[1, 2, 3]))}) == [
        f"task.shape._args_: {TOY}.Shape takes at most 2 of them, not 3"
    ]
    assert findings({"task": toy(shape=toy("Shape", _args_=3))}) == [
        "task.shape._args_: must be a list"
    ]


@pytest.mark.parametrize(
    ("switch", "value", "message"),
    [
        ("_partial_", "yes", 'must be true or false, not "yes"'),
        ("_recursive_", 1, "must be true or false, not 1"),
        ("_convert_", "everything", 'must be none, partial, object, all, not "everything"'),
    ],
)
def test_the_special_keys_have_values_of_their_own(switch: str, value: Any, message: str) -> None:
    assert f"task.bag.{switch}: {message}" in findings(
        {"task": toy(bag=toy("Bag", **{switch: value}))}
    )


def test_a_named_mapping_of_nodes_is_checked_node_by_node() -> None:
    shapes = {
        "a": toy("Shape"),
        "b": toy("Square", name="b"),
        "c": toy("Bag"),
        "d": toy("Shape", x=1),
    }
    assert findings({"task": toy(box=toy("Box", shapes=shapes))}) == [
        "task.box.shapes.c: must be a Shape, not a Bag",
        f"task.box.shapes.d.x: unexpected for {TOY}.Shape",
    ]


def test_a_node_has_to_build_what_the_parameter_takes() -> None:
    assert findings({"task": toy(shape=toy("square"))}) == []
    assert findings({"task": toy(shape=toy("wrapped"))}) == []
    assert findings({"task": toy(shape=toy("Bag"))}) == [
        "task.shape: must be a Shape or null, not a Bag"
    ]
    assert findings({"task": toy(rate=toy("Bag"))}) == ["task.rate: must be a number, not a Bag"]


def test_a_function_builds_what_it_says_it_returns() -> None:
    assert findings({"task": toy(shape=toy("square"))}) == []
    assert findings({"task": toy(point=toy("square"))}) == [
        "task.point: must be a Point or null, not a Square"
    ]


def test_a_class_without_a_constructor_takes_what_its_parent_takes() -> None:
    assert findings({"task": toy(shape=toy("Tile", name="a", sides=3))}) == []
    assert findings({"task": toy(shape=toy("Tile", name="a", corners=3))}) == [
        f"task.shape.corners: unexpected for {TOY}.Tile"
    ]


class Own(targets.Shape):
    """Of a module that lacks the names in its parent's annotations."""


@dataclass(frozen=True)
class Marked(targets.Point):
    mark: str = ""


def test_an_inherited_annotation_is_read_where_it_was_written() -> None:
    def annotation(target: Any, name: str) -> Any:
        signature = signature_of(target)
        assert signature is not None
        return signature.parameters[name].annotation

    assert get_args(annotation(Own, "size"))[0] is float
    assert get_args(annotation(Marked, "x"))[0] is int
    assert annotation(Marked, "mark") is str
    bound = functools.partial(targets.run, name="a")
    assert annotation(bound, "shape") is targets.Shape


def test_any_number_of_arguments_is_taken_where_the_target_says_so() -> None:
    assert findings({"task": toy(row=toy("gather", _args_=[1, toy("Shape"), toy("Shape")]))}) == []


def test_a_partial_is_not_what_it_will_build() -> None:
    assert findings({"task": toy(make=toy("Shape", _partial_=True))}) == []
    assert findings({"task": toy(shape=toy("Shape", _partial_=True))}) == [
        "task.shape: must be a Shape or null, not a partial; remove _partial_"
    ]


def test_a_node_among_plain_values_is_a_fault() -> None:
    assert findings({"task": toy(values=[1, toy("Shape")])}) == [
        "task.values[1]: must be a whole number, not a Shape"
    ]


def test_a_plain_value_among_nodes_is_a_fault() -> None:
    assert findings({"task": toy(box=toy("Box", shapes={"a": None, "b": toy("Shape")}))}) == [
        "task.box.shapes.a: must be a Shape, not null"
    ]
    assert findings({"task": toy(box=toy("Box", shapes={"a": 3}))}) == [
        "task.box.shapes.a: must be a Shape, not 3"
    ]
    assert findings({"task": toy(box=toy("Box", shapes={}))}) == []


def test_nodes_in_the_wrong_container_are_a_fault() -> None:
    (fault,) = findings({"task": toy(row=toy("Row", shapes={"a": toy("Shape")}))})
    assert fault.startswith("task.row.shapes: must be ") and fault.endswith(", not a mapping")
    assert findings({"task": toy(box=toy("Box", shapes=[toy("Shape")]))}) == [
        "task.box.shapes: must be a mapping, not a list"
    ]
    assert findings({"task": toy(row=toy("Row", shapes=[toy("Shape"), toy("Bag")]))}) == [
        "task.row.shapes[1]: must be a Shape, not a Bag"
    ]
