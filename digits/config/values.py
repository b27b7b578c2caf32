"""Does a value suit the annotation of the parameter it is for? Judged by pydantic, strictly.

A value comes from YAML: it is null, true or false, a number, text, a list, a mapping, or a *node*
that will be built. So numbers, text, lists, mappings, ``Literal`` and enumerations are decided,
with the ranges that ``Annotated`` states; a class is decided against what a node builds. Whatever
else an annotation may say (callables, protocols, variables) is left alone.
"""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from digits.config.annotations import (
    LISTS,
    MAPPINGS,
    WORDS,
    arms,
    describe,
    element,
    kind,
    lax,
    shape,
)
from digits.config.parts import Broken, Mapping, Part, Sequence, Value, children, plain
from digits.config.suggestion import one_line, show
from digits.errors import Finding

BOUNDS = {
    "greater_than": ("gt", "must be greater than"),
    "greater_than_equal": ("ge", "must be at least"),
    "less_than": ("lt", "must be less than"),
    "less_than_equal": ("le", "must be at most"),
    "multiple_of": ("multiple_of", "must be a multiple of"),
}
Builds = Callable[[Mapping], Any]


def finite(part: Part) -> Iterator[Finding]:
    """Yield each number of ``part`` that is nan or infinite; nodes within are left out."""
    if isinstance(part, Value) and isinstance(part.value, float) and not math.isfinite(part.value):
        yield Finding(part.key, f"must be a finite number, not {part.value}")
    for child in children(part):
        if not (isinstance(child, Mapping) and child.is_node):
            yield from finite(child)


def faults(part: Part, annotation: Any, builds: Builds) -> Iterator[Finding]:
    """Yield what is wrong with ``part`` as a value for ``annotation``, at the keys concerned.

    Args:
        part: the value.
        annotation: resolved type of the parameter.
        builds: what a node gives: a class, ``functools.partial``, or anything else if unknown.
    """
    members = list(arms(annotation))
    if isinstance(part, Broken) or any(kind(arm) == "open" for arm in members):
        return
    if isinstance(part, Mapping) and part.is_node:
        yield from _node_faults(part, members, builds)
    elif _holds_nodes(part) or (list(children(part)) and any(map(_takes_nodes, members))):
        yield from _container_faults(part, members, builds)
    elif not any(finite(part)):
        yield from _plain_faults(part, members)


def _holds_nodes(part: Part) -> bool:
    return any(
        isinstance(child, Broken)
        or (isinstance(child, Mapping) and child.is_node)
        or _holds_nodes(child)
        for child in children(part)
    )


def _takes_nodes(arm: Any) -> bool:
    is_container = shape(arm) in (*LISTS, *MAPPINGS)
    return is_container and any(kind(member) == "class" for member in arms(element(arm, 0)))


def _node_faults(part: Mapping, members: list[Any], builds: Builds) -> Iterator[Finding]:
    built = builds(part)
    if not inspect.isclass(built):
        return
    wanted = [shape(arm) for arm in members if inspect.isclass(shape(arm))]
    # What a function declares may be wider than what it returns.
    if any(issubclass(built, cls) or issubclass(cls, built) for cls in wanted):
        return
    is_partial = built.__name__ == "partial"
    what = "a partial; remove _partial_" if is_partial else describe([built])
    yield Finding(part.key, f"must be {describe(members)}, not {what}")


def _container_faults(part: Part, members: list[Any], builds: Builds) -> Iterator[Finding]:
    is_mapping = isinstance(part, Mapping)
    fitting = [arm for arm in members if shape(arm) in (MAPPINGS if is_mapping else LISTS)]
    if not fitting:
        what = "a mapping" if is_mapping else "a list"
        yield Finding(part.key, f"must be {describe(members)}, not {what}")
        return
    outcomes = [
        [
            fault
            for index, child in enumerate(children(part))
            for fault in faults(child, element(arm, index), builds)
        ]
        for arm in fitting
    ]
    yield from min(outcomes, key=len)


def _plain_faults(part: Part, members: list[Any]) -> Iterator[Finding]:
    text = json.dumps(plain(part), default=str)
    rejected: list[tuple[Any, list[ErrorDetails]]] = []
    for arm in members:
        if kind(arm) == "class":
            continue
        try:
            _adapter(_ByText(lax(arm))).validate_json(text, strict=True)
        except ValidationError as error:
            rejected.append((arm, error.errors(include_url=False)))
        else:
            return
    # Of the right type for one alternative: then it is a range or an item that is wrong.
    near = [errors for _, errors in rejected if not _is_type_error(errors[0])]
    if len(near) == 1:
        for detail in near[0]:
            at = _at(part, detail["loc"])
            yield Finding(at.key, _sentence(detail, plain(at)))
        return
    # An object cannot be typed: name the classes only where there is nothing else.
    typable = [arm for arm in members if kind(arm) == "plain"]
    if all(arm is type(None) for arm in typable):
        typable = members
    yield Finding(part.key, f"must be {describe(typable)}, not {show(plain(part))}")


def _is_type_error(error: ErrorDetails) -> bool:
    endings = ("_type", "_required", "literal_error", "enum", "_from_float")
    return not error["loc"] and error["type"].endswith(endings)


def _at(part: Part, location: tuple[int | str, ...]) -> Part:
    for step in location:
        if isinstance(part, Sequence) and isinstance(step, int) and step < len(part.items):
            part = part.items[step]
        elif isinstance(part, Mapping) and str(step) in part.items:
            part = part.items[str(step)]
    return part


def _sentence(error: ErrorDetails, value: Any) -> str:
    name, context = error["type"], error.get("ctx", {})
    if name in BOUNDS:
        bound, words = BOUNDS[name]
        limit = context[bound]
        whole = isinstance(limit, float) and limit.is_integer()
        return f"{words} {show(int(limit) if whole else limit)}, not {show(value)}"
    if name in ("too_short", "string_too_short"):
        return f"must be of length {context['min_length']} or more, not {len(value)}"
    if name in ("too_long", "string_too_long"):
        return f"must be of length {context['max_length']} or less, not {len(value)}"
    if name == "missing":
        return f"has too few items: {show(value)}"
    if name in ("literal_error", "enum"):
        return f"must be {context['expected'].replace(chr(39), '')}, not {show(value)}"
    for scalar, words in WORDS.items():
        if name.startswith({"str": "string"}.get(scalar.__name__, scalar.__name__) + "_type"):
            return f"must be {words}, not {show(value)}"
    return f"{one_line(ValueError(error['msg']))}, not {show(value)}"


class _ByText:
    """A type as a key of the cache: some annotations (with a list inside) have no hash."""

    def __init__(self, annotation: Any) -> None:
        self.annotation = annotation

    def __hash__(self) -> int:
        return hash(repr(self.annotation))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ByText) and bool(self.annotation == other.annotation)


@cache
def _adapter(annotation: _ByText) -> TypeAdapter[Any]:
    return TypeAdapter(annotation.annotation)
