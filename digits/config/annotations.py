"""Taking annotations apart: their alternatives, what can be decided about each, and their words."""

from __future__ import annotations

import collections.abc
import enum
import inspect
import pathlib
import sys
import types
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from digits.config.suggestion import either

LISTS = (
    list,
    tuple,
    set,
    frozenset,
    collections.abc.Sequence,
    collections.abc.Iterable,
    collections.abc.Collection,
    collections.abc.Set,
    collections.abc.MutableSequence,
)
MAPPINGS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)
WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
PLURALS = {bool: "true or false", int: "whole numbers", float: "numbers", str: "text"}


def arms(annotation: Any) -> Iterator[Any]:
    """Yield the alternatives of ``annotation``; what ``Annotated`` adds goes to each of them."""
    origin = get_origin(annotation)
    if hasattr(annotation, "__value__"):
        yield from arms(annotation.__value__)
    elif hasattr(annotation, "__supertype__"):
        yield from arms(annotation.__supertype__)
    elif origin is Annotated:
        inner, *metadata = get_args(annotation)
        for arm in arms(inner):
            yield arm if arm in (None, type(None)) else Annotated[arm, *metadata]
    elif origin in (Union, types.UnionType):
        for member in get_args(annotation):
            yield from arms(member)
    else:
        yield type(None) if annotation is None else annotation


def bare(arm: Any) -> Any:
    """Return ``arm`` without what ``Annotated`` adds."""
    return get_args(arm)[0] if get_origin(arm) is Annotated else arm


def shape(arm: Any) -> Any:
    """Return the container class of ``arm``, e.g. ``list`` for ``list[int]``, or ``arm``."""
    return get_origin(bare(arm)) or bare(arm)


def kind(arm: Any) -> Literal["plain", "class", "open"]:
    """Tell what ``arm`` is: a type of YAML values, a class that a node builds, or undecidable."""
    core = shape(arm)
    if core is Literal or core in (type(None), *WORDS, *LISTS, *MAPPINGS):
        return "plain"
    if not inspect.isclass(core) or core is object or getattr(core, "_is_protocol", False):
        return "open"
    if issubclass(core, enum.Enum | pathlib.PurePath):
        return "plain"
    # A class of the standard library may well be made from a number or text by whoever takes it.
    if core is inspect.Parameter.empty or core.__module__.split(".")[0] in sys.stdlib_module_names:
        return "open"
    return "class"


def element(arm: Any, index: int) -> Any:
    """Return the type that the container ``arm`` states for its item number ``index``."""
    arguments = get_args(bare(arm))
    if not arguments:
        return Any
    if shape(arm) in MAPPINGS:
        return arguments[1]
    if shape(arm) is tuple and arguments[-1] is not Ellipsis:
        return arguments[min(index, len(arguments) - 1)]
    return arguments[0]


def lax(arm: Any) -> Any:
    """Return ``arm`` for pydantic: as it would arrive from JSON, Any for what is no plain type."""
    core, container, arguments = bare(arm), shape(arm), get_args(bare(arm))
    if container in MAPPINGS:
        names = arguments[0] if arguments and arguments[0] in WORDS else Any
        core = types.GenericAlias(dict, (names, _lax_item(arguments[1]) if arguments else Any))
    elif container is tuple and arguments:
        items = [each if each is Ellipsis else _lax_item(each) for each in arguments]
        core = types.GenericAlias(tuple, tuple(items))
    elif container in LISTS:
        core = types.GenericAlias(list, (_lax_item(arguments[0]) if arguments else Any,))
    return Annotated[core, *get_args(arm)[1:]] if get_origin(arm) is Annotated else core


def _lax_item(annotation: Any) -> Any:
    members = [member for member in arms(annotation) if kind(member) != "class"]
    if not members or any(kind(member) == "open" for member in members):
        return Any
    return Union[tuple(lax(member) for member in members)]  # noqa: UP007


def describe(alternatives: Iterable[Any]) -> str:
    """Say in words what ``alternatives`` take: ``a number, a list of numbers or null``."""
    members = [bare(arm) for arm in alternatives]
    # Every whole number is a number; null comes last, as the exception that it is.
    members = [each for each in members if not (each is int and float in members)]
    members.sort(key=lambda each: each is type(None))
    return either([words for member in members for words in _words(member)])


def _words(member: Any) -> list[str]:
    container, arguments = shape(member), get_args(member)
    if member is type(None):
        return ["null"]
    if member in WORDS:
        return [WORDS[member]]
    if container is Literal:
        return ["null" if value is None else str(value) for value in arguments]
    if container in MAPPINGS:
        return ["a mapping"]
    if container is tuple and arguments and Ellipsis not in arguments:
        return [f"a list of {len(arguments)}"]
    if container in LISTS:
        item = bare(arguments[0]) if arguments else Any
        plural = PLURALS.get(item) if inspect.isclass(item) else None
        return [f"a list of {plural}" if plural else "a list"]
    if inspect.isclass(container) and issubclass(container, enum.Enum):
        return [str(each.value) for each in container]
    if inspect.isclass(container) and issubclass(container, pathlib.PurePath):
        return ["a path"]
    name = getattr(container, "__name__", str(container))
    return [f"{'an' if name[:1] in 'AEIOU' else 'a'} {name}"]
