"""The check of a composed configuration: every fault at once, before anything is done.

It reads the tree from ``task`` and from the frame (the keys that the entry point itself uses),
follows every interpolation to where the value is written, and asks of each node: may this target
stand here, does it exist, does its signature bind, does every value suit its parameter? Then: is
there a key that nothing reads? Only a tree without a fault is tried out (see ``probe``).
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from omegaconf import Container, DictConfig

from digits.config import signatures
from digits.config.allowed import RefusedError, Slot, admit, slot_of
from digits.config.frame import FRAME, frame_faults
from digits.config.nodes import members
from digits.config.parts import TARGET, Broken, Mapping, Part, Value, plain
from digits.config.parts import Sequence as List
from digits.config.signatures import REQUIRED, SPECIAL, Signature, signature_of
from digits.config.suggestion import show
from digits.config.tree import Reader
from digits.config.usage import unread
from digits.config.values import faults, finite
from digits.errors import ConfigError, Finding

CONVERSIONS = ("none", "partial", "object", "all")


def check(
    config: DictConfig,
    *,
    slots: Sequence[Slot] | None = None,
    frame: Collection[str] = FRAME,
    probe: bool = True,
    elsewhere: bool = False,
) -> None:
    """Check the whole of a composed tree.

    Args:
        config: the tree, from its root.
        slots: what may stand where; ours unless given.
        frame: keys (dotted) that are read besides ``task``.
        probe: also try out what is cheap to build, once nothing else is wrong. Some values only
            a third-party constructor can judge.
        elsewhere: the job is meant for another machine; hardware that this one lacks is no fault.

    Raises:
        ConfigError: with every fault, in the order of the tree.
    """
    findings = set(_find(config, slots, frame))
    if probe and not findings:
        from digits.config.probe import try_out

        findings = set(try_out(config, _read(config, frame), slots, elsewhere=elsewhere))
    if findings:
        order = {key: index for index, key in enumerate(_keys(config))}
        raise ConfigError(sorted(findings, key=lambda each: (_place(each.key, order), each)))


def _read(config: DictConfig, frame: Collection[str]) -> Reader:
    reader = Reader(config)
    reader.read(["task", *frame])
    return reader


def _find(
    config: DictConfig, slots: Sequence[Slot] | None, frame: Collection[str]
) -> Iterator[Finding]:
    reader = _read(config, frame)
    if config.get("task") is None or "task" not in reader.used:
        yield Finding("task", "there is no task: choose one with task=...")
    yield from frame_faults(reader, frame)
    yield from reader.findings
    nodes = _Nodes(reader, slots)
    for node in reader.nodes.values():
        yield from nodes.check(node)
    for part in reader.parts():
        if _should_build(part, slots):
            takes = slot_of(part.key, slots).rule.describe()
            yield Finding(part.key, f"must have a _target_: it takes {takes}")
    yield from unread(config, reader)


def _should_build(part: Part, slots: Sequence[Slot] | None) -> bool:
    if isinstance(part, Broken) or (isinstance(part, Value) and part.value is None):
        return False
    is_node = isinstance(part, Mapping) and part.is_node
    return not is_node and slot_of(part.key, slots).must_build


class _Nodes:
    """Checks the nodes of one tree; remembers the target and signature of each."""

    def __init__(self, reader: Reader, slots: Sequence[Slot] | None) -> None:
        self.slots = slots
        self.targets: dict[str, Any] = {}
        self.refusals: dict[str, str] = {}
        for key, node in reader.nodes.items():
            named = node.items[TARGET]
            if isinstance(named, Broken):
                continue
            try:
                self.targets[key] = admit(key, plain(named), slots)
            except RefusedError as error:
                self.refusals[key] = str(error)

    def check(self, node: Mapping) -> Iterator[Finding]:
        """Yield what is wrong with ``node`` itself; nodes within it are checked in their turn."""
        yield from _switches(node)
        for name, part in node.items.items():
            is_argument = name not in SPECIAL or name == "_args_"
            if is_argument and not (isinstance(part, Mapping) and part.is_node):
                yield from finite(part)
        if node.key in self.refusals:
            yield Finding(f"{node.key}.{TARGET}", self.refusals[node.key])
        signature = self._signature(node)
        if signature is None:
            return
        slot = slot_of(node.key, self.slots)
        is_partial = _is_partial(node)
        yield from signatures.bind(node, signature, partial=is_partial, receives=slot.receives)
        yield from self._narrowed(node, signature, slot)
        for name, part in node.items.items():
            parameter = signature.parameters.get(name)
            if parameter is None or name in slot.narrows:
                continue
            if _is_default(part, parameter.default):
                continue
            yield from faults(part, parameter.annotation, self._builds)
        arguments = node.items.get("_args_")
        if isinstance(arguments, List):
            for name, part in zip(signature.positional, arguments.items, strict=False):
                if name in signature.parameters:
                    yield from faults(part, signature.parameters[name].annotation, self._builds)

    def _narrowed(self, node: Mapping, signature: Signature, slot: Slot) -> Iterator[Finding]:
        """Hold what the slot narrows against that, also where it is left to its default."""
        for name, annotation in slot.narrows.items():
            part = node.items.get(name)
            if part is None and name in signature.parameters:
                part = Value(f"{node.key}.{name}", signature.parameters[name].default)
            if part is not None:
                yield from faults(part, annotation, self._builds)

    def _signature(self, node: Mapping) -> Signature | None:
        target = self.targets.get(node.key)
        return None if target is None else _signature_of(target)

    def _builds(self, node: Mapping) -> Any:
        signature = self._signature(node)
        if signature is not None and _is_partial(node):
            return functools.partial
        return None if signature is None else signature.returns


_signature_of = functools.lru_cache(maxsize=None)(signature_of)


def _is_partial(node: Mapping) -> bool:
    part = node.items.get("_partial_")
    return isinstance(part, Value) and part.value is True


def _is_default(part: Part, default: Any) -> bool:
    # Annotations are looser in practice than they read: ``x: float = None`` takes null.
    if default is REQUIRED or not isinstance(part, Value):
        return False
    return type(part.value) is type(default) and bool(part.value == default)


def _switches(node: Mapping) -> Iterator[Finding]:
    for name in ("_partial_", "_recursive_"):
        part = node.items.get(name)
        if isinstance(part, Value) and not isinstance(part.value, bool):
            yield Finding(part.key, f"must be true or false, not {show(part.value)}")
    part = node.items.get("_convert_")
    if isinstance(part, Value) and part.value not in CONVERSIONS:
        yield Finding(part.key, f"must be {', '.join(CONVERSIONS)}, not {show(part.value)}")


def _keys(container: Container) -> Iterator[str]:
    for key, raw in members(container):
        yield key
        if isinstance(raw, Container):
            yield from _keys(raw)


def _place(key: str, order: dict[str, int]) -> int:
    """Return where ``key`` stands in the tree, or the nearest key above it that stands there."""
    while key not in order and "." in key:
        key = key.rpartition(".")[0]
    return order.get(key, -1)
