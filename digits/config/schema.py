"""JSON schemas of the files in ``conf/``, for editors: completion, help, faults while typing.

A schema says of one file what the check says of a composed tree, as far as one file shows it. What
a node takes comes from the signature of its target; what a plain key may be, from the parameters
that refer to it: ``loader.batch_size`` is whatever ``batch_size: ${loader.batch_size}`` needs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from digits.config.allowed import SLOTS, admit, slot_of
from digits.config.frame import OUTSIDE, Seed
from digits.config.parts import TARGET
from digits.config.schema_values import Schema, node_schema, value_schema
from digits.config.signatures import signature_of

DIALECT = "http://json-schema.org/draft-07/schema#"
REFERENCE = re.compile(r"\$\{(\w[\w.]*)\}")
# Plain keys are declared by these; what another file gives without them, nothing reads.
DECLARING = ("task", "paths")


@dataclass
class Place:
    """One place of the tree, as all files together fill it.

    Attributes:
        targets: what is built there, by dotted name.
        children: what lies below it, by name.
        annotations: types of the parameters that refer to it.
    """

    targets: set[str] = field(default_factory=set)
    children: dict[str, Place] = field(default_factory=dict)
    annotations: list[Any] = field(default_factory=list)

    def at(self, key: str) -> Place:
        """Return the place at the dotted ``key`` below this one."""
        place = self
        for name in filter(None, key.split(".")):
            place = place.children.setdefault(name, Place())
        return place


@dataclass(frozen=True)
class Leaf:
    """A file of ``conf/``: its group, and the key where its content goes, empty for the root."""

    file: Path
    group: str
    package: str
    content: Mapping[str, Any]


def schemas(conf: Path) -> dict[str, tuple[Schema, list[Path]]]:
    """Return name -> schema and the files it is for: one for each group, one for the whole tree.

    Files of the groups that Hydra and the tuners read themselves are left out.

    Raises:
        RefusedError: a target in a file may not stand where it stands, or does not import.
    """
    leaves = list(_leaves(conf))
    tree = Place()
    for leaf in leaves:
        _lay(tree.at(leaf.package), leaf.content, declares=leaf.group in DECLARING)
    for leaf in leaves:
        _refer(tree, leaf.package, leaf.content)
    # The entry point asks more of these than whoever is handed them.
    tree.at("seed").annotations = [Seed]
    tree.at("check_only").annotations = [bool]
    packages = sorted({leaf.package for leaf in leaves})
    return {
        package or "tree": (
            _of_files(package, tree),
            [leaf.file for leaf in leaves if leaf.package == package],
        )
        for package in packages
    }


def _leaves(conf: Path) -> Iterator[Leaf]:
    for file in sorted(conf.glob("*/**/*.yaml")):
        group = file.parent.relative_to(conf).as_posix()
        if group.split("/")[0] in OUTSIDE:
            continue
        text = file.read_text(encoding="utf-8")
        package = "" if text.startswith("# @package _global_") else group.replace("/", ".")
        yield Leaf(file, group, package, yaml.safe_load(text) or {})


def _below(content: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    return ((str(name), value) for name, value in content.items() if name != "defaults")


def _lay(place: Place, content: Mapping[str, Any], *, declares: bool) -> None:
    """Put a file on top of those before it."""
    if TARGET in content:
        place.targets.add(content[TARGET])
    for name, value in _below(content):
        if isinstance(value, Mapping):
            _lay(place.at(name), value, declares=declares)
        elif declares and not place.targets:
            place.at(name)


def _refer(tree: Place, key: str, content: Mapping[str, Any]) -> None:
    """Note at each key that a parameter refers to what the parameter takes."""
    signature = None
    if TARGET in content:
        signature = signature_of(admit(key, content[TARGET]))
    for name, value in _below(content):
        reference = REFERENCE.fullmatch(value) if isinstance(value, str) else None
        if reference and signature and name in signature.parameters:
            place = tree.at(reference[1])
            place.annotations.append(signature.parameters[name].annotation)
        if isinstance(value, Mapping):
            _refer(tree, f"{key}.{name}" if key else name, value)


def _of_files(package: str, tree: Place) -> Schema:
    schema = _of_place(package, tree.at(package))
    if not package:
        schema["properties"] |= dict.fromkeys(OUTSIDE, True)
    known = {"type": "array", "description": "Files that this one stands on, and groups it uses."}
    return {"$schema": DIALECT, "title": package or "tree", **_with(schema, "defaults", known)}


def _with(schema: Schema, name: str, known: Schema) -> Schema:
    """Add a property wherever the schema lists those of the file itself."""
    for each in (schema, *(case["then"] for case in schema.get("allOf", ()))):
        if "properties" in each:
            each["properties"] = {name: known, **each["properties"]}
    return schema


def _of_place(key: str, place: Place) -> Schema:
    below = {
        name: _of_place(f"{key}.{name}" if key else name, child)
        for name, child in place.children.items()
    }
    if place.targets:
        slot = slot_of(key)
        targets = {name: admit(key, name) for name in sorted(place.targets)}
        # Of a plain parameter the signature says more than whoever else refers to it.
        nested = {name for name, child in place.children.items() if child.targets or child.children}
        return node_schema(targets, slot, {name: below[name] for name in nested})
    if not below:
        return value_schema(place.annotations)
    own = any(slot.pattern == f"{key}.*" for slot in SLOTS)
    return {
        "type": ["object", "null", "string"],
        "properties": below,
        # Under these names anybody may put something of their own.
        "additionalProperties": {"type": ["object", "null", "string"]} if own else False,
    }
