"""What a JSON schema says of one value, and of one node: taken from signatures and docstrings."""

from __future__ import annotations

import enum
import inspect
import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import TypeAdapter

from digits.config.allowed import Slot
from digits.config.annotations import LISTS, MAPPINGS, arms, element, kind, lax, shape
from digits.config.parts import TARGET
from digits.config.signatures import Signature, signature_of

Schema = dict[str, Any]
# ``${...}`` and ``???`` stand for a value that is known later.
LATER: Schema = {"type": "string", "pattern": r"\$\{|^\?\?\?$"}
SWITCHES: Schema = {
    "_partial_": {"type": "boolean", "description": "Called later, by whoever receives it."},
    "_recursive_": {"type": "boolean", "description": "Whether nodes within are built first."},
    "_convert_": {"enum": ["none", "partial", "object", "all"]},
    "_args_": {"type": "array", "description": "Arguments by place instead of by name."},
}
ENTRY = re.compile(
    r"^\s+`*(\w+)`*(?: \([^)]*\))?: (.+(?:\n(?!\s+`*\w+`*(?: \([^)]*\))?: ).+)*)", re.M
)


def value_schema(annotations: Iterable[Any]) -> Schema:
    """Return what suits any of ``annotations``; nothing is known of some types."""
    members = [arm for annotation in annotations for arm in arms(annotation)]
    if not members or any(kind(arm) == "open" for arm in members):
        return {}
    found: list[Schema] = []
    for arm in members:
        schema = _of_arm(arm)
        if not schema:
            return {}
        if schema not in found:
            found.append(schema)
    return {"anyOf": [*found, LATER]}


def _of_arm(arm: Any) -> Schema:
    container = shape(arm)
    if kind(arm) == "class":
        return {"type": "object", "required": [TARGET]}
    if inspect.isclass(container) and issubclass(container, enum.Enum):
        return {"enum": [each.value for each in container]}
    holds = container in (*LISTS, *MAPPINGS) and any(
        kind(member) != "plain" for member in arms(element(arm, 0))
    )
    if holds:
        return {"type": "object" if container in MAPPINGS else "array"}
    schema = TypeAdapter(lax(arm)).json_schema()
    # Definitions would have to stand at the root of the file's schema.
    return {} if "$defs" in schema else schema


def node_schema(targets: Mapping[str, Any], slot: Slot, below: Mapping[str, Schema]) -> Schema:
    """Return what a node may be that builds one of ``targets``, or something of the user's own.

    Args:
        targets: dotted name -> what it names.
        slot: the place in which the node stands.
        below: schemas of what files put under names within it.
    """
    known = {name: _parameters(target, slot) for name, target in targets.items()}
    together: dict[str, Schema] = {}
    for properties in known.values():
        for name, schema in (properties or {}).items():
            other = together.setdefault(name, schema)
            together[name] = other if other == schema else {"anyOf": [other, schema]}
    cases = [
        {"if": _built(name), "then": _takes(properties, below)}
        for name, properties in known.items()
    ]
    everything = None if None in known.values() else together
    # A file without a target adds to one that has one: any of them.
    cases.append({"if": {"not": {"required": [TARGET]}}, "then": _takes(everything, below)})
    return {
        "type": ["object", "null", "string"],
        "properties": {TARGET: {"anyOf": [{"enum": list(known)}, {"type": "string"}]}},
        "allOf": cases,
    }


def _built(name: str) -> Schema:
    return {"required": [TARGET], "properties": {TARGET: {"const": name}}}


def _takes(properties: Mapping[str, Schema] | None, below: Mapping[str, Schema]) -> Schema:
    """Return the schema of a mapping with these keys and no other; None: other keys too."""
    names = {**(properties or {})}
    names |= {name: schema for name, schema in below.items() if properties is None or name in names}
    return {
        "properties": {TARGET: {"type": "string"}, **SWITCHES, **names},
        "additionalProperties": properties is None,
    }


def _parameters(target: Any, slot: Slot) -> dict[str, Schema] | None:
    """Return the schema of each parameter, or None where ``target`` takes others too."""
    signature = signature_of(target)
    if signature is None or signature.open:
        return None
    words = _described(target)
    return {
        name: _parameter(name, signature, slot, words)
        for name in signature.parameters
        if name not in (slot.receives or ())
    }


def _parameter(name: str, signature: Signature, slot: Slot, words: Mapping[str, str]) -> Schema:
    parameter = signature.parameters[name]
    schema = value_schema([slot.narrows.get(name, parameter.annotation)])
    plain = isinstance(parameter.default, str | int | float | None)
    if plain and schema and name not in slot.narrows:
        # Annotations are looser in practice than they read: ``x: float = None`` takes null.
        schema = {"anyOf": [*schema["anyOf"], {"const": parameter.default}]}
    if plain:
        schema = {**schema, "default": parameter.default}
    return {**schema, "description": words[name]} if name in words else schema


def _described(target: Any) -> dict[str, str]:
    """Return parameter -> what the docstring of the class or its constructor says of it."""
    owners = [target, *(vars(cls).get("__init__") for cls in getattr(target, "__mro__", ())[:1])]
    text = "\n".join(inspect.getdoc(owner) or "" for owner in owners if owner is not None)
    return {name: " ".join(words.split()) for name, words in ENTRY.findall(text)}
