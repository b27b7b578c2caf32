"""The configuration of a run as plain data: what is saved, logged, hashed and compared.

Only what the run reads is in it. What depends on the machine or the moment (folders, Hydra's own
values) is left out, and a value made from such a key stays as it is written: two runs of the same
experiment have the same digest wherever and whenever they run. A mapping under ``task`` that is a
mere reference stays a reference, so that every value stands at one key.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, TypeAlias

from omegaconf import Container, DictConfig, ListConfig, Node, OmegaConf

from digits.config.frame import FRAME, OUTSIDE
from digits.config.nodes import full_key
from digits.config.parts import plain
from digits.config.tree import Reader
from digits.errors import ConfigError

Scalar: TypeAlias = str | int | float | bool | None

EXCLUDED = (*OUTSIDE, "check_only", "resume", "reproduce", "paths", "tracking")
REFERENCE = re.compile(r"\$\{[^{}:]+\}")
ABSENT = object()

# What these resolvers give depends on the machine or the moment.
VARYING = ("hydra:", "now:", "oc.env:", "project:")


def canonical(
    config: DictConfig,
    *,
    excluded: Collection[str] = EXCLUDED,
    frame: Collection[str] = FRAME,
) -> dict[str, Any]:
    """Return what the run of a composed tree is determined by.

    Args:
        config: the tree, from its root.
        excluded: keys (dotted) that are left out; a value made from them stays as written.
        frame: keys that are read besides ``task``.

    Raises:
        ConfigError: a value is missing or cannot be resolved.
    """
    reader = Reader(config)
    reader.read(["task", *frame])
    if reader.findings:
        raise ConfigError(sorted(reader.findings))
    return _Pruned(reader, excluded).mapping(config)


def to_yaml(config: Mapping[str, Any]) -> str:
    """Return a canonical configuration as YAML, its keys in their order."""
    return OmegaConf.to_yaml(OmegaConf.create(dict(config)))


def digest(config: Mapping[str, Any] | DictConfig) -> str:
    """sha256 (hex) of a canonical configuration, or of the canonical one of a composed tree.

    The order of keys does not count.
    """
    content = canonical(config) if isinstance(config, DictConfig) else config
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def flatten(config: Mapping[str, Any]) -> dict[str, Scalar]:
    """Return dotted key -> scalar for tracking; a list is compact JSON, a reference is left out."""
    return dict(_flat("", config))


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Say where two canonical configurations differ: ``optimizer.lr: 0.001 -> 0.01``."""
    before, after = flatten(old), flatten(new)
    changes = {
        key: (before.get(key, ABSENT), after.get(key, ABSENT))
        for key in dict.fromkeys([*before, *after])
        if not _same(before.get(key, ABSENT), after.get(key, ABSENT))
    }
    elsewhere = [change for key, change in changes.items() if not key.startswith("task.")]
    # ``task.seed: ${seed}`` repeats what ``seed`` says already.
    return [
        f"{key}: {_shown(change[0])} -> {_shown(change[1])}"
        for key, change in changes.items()
        if not (key.startswith("task.") and change in elsewhere)
    ]


class _Pruned:
    def __init__(self, reader: Reader, excluded: Collection[str]) -> None:
        self.reader = reader
        self.excluded = tuple(excluded)

    def mapping(self, config: DictConfig) -> dict[str, Any]:
        entries = {}
        for name in config:
            raw = config._get_node(name)
            assert isinstance(raw, Node)
            key = full_key(raw)
            if self._counts(key):
                entries[str(name)] = self._value(raw, key)
        return entries

    def _counts(self, key: str) -> bool:
        if self._is_excluded(key):
            return False
        used = self.reader.used
        return key in used or any(other.startswith((f"{key}.", f"{key}[")) for other in used)

    def _is_excluded(self, key: str) -> bool:
        return any(
            key == name or key.startswith((f"{name}.", f"{name}[")) for name in self.excluded
        )

    def _value(self, raw: Node, key: str) -> Any:
        if raw._is_interpolation():
            if self._varies(key, set()):
                return raw._value()
            value = plain(self.reader.part(raw, key))
            refers = isinstance(value, dict | list) and REFERENCE.fullmatch(raw._value())
            return raw._value() if refers else _plain_value(value)
        if isinstance(raw, DictConfig) and not raw._is_none():
            return self.mapping(raw)
        if isinstance(raw, ListConfig) and not raw._is_none():
            items = [raw._get_node(index) for index in range(len(raw))]
            return [self._value(item, full_key(item)) for item in items if isinstance(item, Node)]
        return None if isinstance(raw, Container) else _plain_value(raw._value())

    def _varies(self, key: str, seen: set[str]) -> bool:
        """Tell whether the expression at ``key`` is made from an excluded key, at any remove."""
        if key in seen:
            return False
        seen.add(key)
        return any(
            link in VARYING or self._is_excluded(link) or self._varies(link, seen)
            for link in self.reader.links.get(key, ())
        )


def _plain_value(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain_value(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain_value(item) for item in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, Scalar]]:
    if isinstance(value, Mapping) and (value or not prefix):
        for name, item in value.items():
            yield from _flat(f"{prefix}.{name}" if prefix else str(name), item)
    elif isinstance(value, Mapping | list):
        yield prefix, json.dumps(value, separators=(",", ":"))
    elif not (isinstance(value, str) and REFERENCE.fullmatch(value)):
        yield prefix, value


def _same(old: object, new: object) -> bool:
    # 1 and true are equal in Python, and not the same value here.
    return old == new and isinstance(old, bool) == isinstance(new, bool)


def _shown(value: object) -> str:
    return (
        "(absent)"
        if value is ABSENT
        else json.dumps(value)
        if value is None or isinstance(value, bool)
        else str(value)
    )
