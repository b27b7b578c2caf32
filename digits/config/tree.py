"""Reading a composed configuration: its parts with their home keys, and what was read.

OmegaConf follows an interpolation silently; a report must name the key that a user can type. So
the tree is read here once, from the keys that something starts from: every part knows the key at
which it is *written* (an interpolation leads to the part that it refers to), every key that is
read is remembered, and every value that cannot be had becomes a finding.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from omegaconf import Container, ListConfig, Node, OmegaConf, ValueNode
from omegaconf._utils import split_key
from omegaconf.errors import OmegaConfBaseException
from omegaconf.grammar_parser import parse
from omegaconf.grammar_visitor import GrammarVisitor

from digits.config.nodes import entries, entry, full_key, members
from digits.config.parts import Broken, Mapping, Part, Sequence, Value
from digits.config.suggestion import one_line, suggestion
from digits.errors import Finding

# Resolvers whose first argument is the name of a key.
KEY_RESOLVERS = ("oc.select", "oc.dict.keys", "oc.dict.values")


class _UnavailableError(Exception):
    """What an expression refers to is itself broken and has been reported there."""


class _DanglingError(Exception):
    """An expression refers to a key that does not exist."""


class Reader:
    """Reads parts of one configuration and remembers what it read.

    Attributes:
        used: every key that was read, references included.
        homes: the keys among them at which a value is written (no reference).
        nodes: every part with a ``_target_``, by its home key.
        links: for each interpolation the keys (and resolvers, ``name:``) that it mentions.
        findings: values that are missing, and interpolations that fail.
    """

    def __init__(self, config: Container) -> None:
        self.config = config
        self.used: set[str] = set()
        self.homes: set[str] = set()
        self.nodes: dict[str, Mapping] = {}
        self.links: dict[str, set[str]] = {}
        self.findings: set[Finding] = set()
        self._parts: dict[int, tuple[Node, Part]] = {}
        self._open: set[int] = set()

    def read(self, names: Collection[str]) -> None:
        """Read the whole parts at ``names`` (dotted keys), and all that they refer to."""
        for name in names:
            self.find(name)

    def find(self, name: str) -> Part | None:
        """Return the part at ``name`` (a dotted key), read now if it has not been; None: no such.

        An interpolation that cannot be followed on the way there is None, too.
        """
        try:
            raw = self._step(self.config, name)
        except (_DanglingError, _UnavailableError):
            return None
        return self.part(raw, full_key(raw))

    def parts(self) -> list[Part]:
        """Return every part that was read."""
        return [part for _, part in self._parts.values()]

    def home(self, key: str) -> str:
        """Return the key at which the value of ``key`` is written; ``key`` if there is none."""
        try:
            return full_key(self._landing(self._step(self.config, key)))
        except (_DanglingError, _UnavailableError):
            return key

    def part(self, raw: Node, key: str) -> Part:
        """Return the part that ``raw``, at ``key``, is or refers to."""
        known = self._parts.get(id(raw))
        if known is not None:
            return known[1]
        self.used.add(key)
        if id(raw) in self._open:
            self.findings.add(Finding(key, "refers to itself"))
            return Broken(key)
        self._open.add(id(raw))
        try:
            part = self._read(raw, key)
        finally:
            self._open.remove(id(raw))
        self._parts[id(raw)] = (raw, part)
        return part

    def _read(self, raw: Node, key: str) -> Part:
        if raw._is_interpolation():
            return self._follow(raw, key)
        self.homes.add(key)
        if raw._is_missing():
            self.findings.add(Finding(key, f"has no value yet: type {key}=..."))
            return Broken(key)
        if not isinstance(raw, Container) or raw._is_none():
            return Value(key, None if raw._is_none() else raw._value())
        if isinstance(raw, ListConfig):
            return Sequence(
                key, [self.part(each, f"{key}[{index}]") for index, each in entries(raw)]
            )
        prefix = f"{key}." if key else ""
        mapping = Mapping(
            key, {str(name): self.part(each, f"{prefix}{name}") for name, each in entries(raw)}
        )
        if mapping.is_node:
            self.nodes[key] = mapping
        return mapping

    def _follow(self, raw: Node, key: str) -> Part:
        """Evaluate the interpolation ``raw``; a bare reference is the part it refers to."""
        references: dict[int, tuple[Node, Part]] = {}
        try:
            result = self._evaluate(raw, key, references)
        except _UnavailableError:
            return Broken(key)
        except _DanglingError as error:
            self.findings.add(Finding(key, str(error)))
            return Broken(key)
        except Exception as error:
            # A resolver is anybody's function: whatever it raises is a fault of this value.
            text = one_line(error)
            self.findings.add(Finding(key, f"{raw._value()} cannot be resolved: {text}"))
            return Broken(key)
        if id(result) in references:
            return references[id(result)][1]
        self.homes.add(key)
        if not isinstance(result, Node):
            result = OmegaConf.create({"_": result}, flags={"allow_objects": True})._get_node("_")
            assert isinstance(result, Node)
            return self._read(result, key)
        at_home = result._key() is not None and result._get_root() is self.config
        return self.part(result, full_key(result)) if at_home else self._read(result, key)

    def _evaluate(self, raw: Node, key: str, references: dict[int, tuple[Node, Part]]) -> Any:
        parent = raw._get_parent_container()
        assert parent is not None
        links = self.links.setdefault(key, set())

        def refer(name: str, memo: set[int] | None) -> Node:
            target, part = self._available(parent, name)
            links.add(full_key(target))
            node = target._maybe_dereference_node()
            assert node is not None
            references[id(node)] = (node, part)
            return node

        def resolve(name: str, args: tuple[Any, ...], args_str: tuple[str, ...]) -> Any:
            links.add(f"{name}:")
            values = tuple(_value(arg) for arg in args)
            if name in KEY_RESOLVERS and values:
                self._mark(parent, str(values[0]), optional=name == "oc.select")
            return parent._evaluate_custom_resolver(raw._key(), raw, name, values, args_str)

        return GrammarVisitor(refer, resolve, memo=None).visit(parse(raw._value()))

    def _available(self, parent: Container, name: str) -> tuple[Node, Part]:
        target = self._step(parent, name)
        part = self.part(target, full_key(target))
        if isinstance(part, Broken):
            raise _UnavailableError
        return target, part

    def _mark(self, parent: Container, name: str, *, optional: bool) -> None:
        """Note the key that a resolver is going to read by its name."""
        try:
            target = self._step(parent, name)
            if optional and target._is_missing():
                self.used.add(full_key(target))
            else:
                self._available(parent, name)
        except _DanglingError:
            if not optional:
                raise

    def _step(self, parent: Container, name: str) -> Node:
        """Return the raw node at ``name``, seen from ``parent``, as written there."""
        try:
            start, rest = parent._resolve_key_and_root(name)
        except OmegaConfBaseException:
            raise _DanglingError(f"refers to {name}, which lies outside the tree") from None
        node: Node = start
        for step in split_key(rest) if rest else []:
            node = self._landing(node)
            found = entry(node, step)
            if found is None:
                above = full_key(node)
                wanted = f"{above}.{step}" if above else step
                known = [key for key, _ in members(node)] if isinstance(node, Container) else []
                hint = suggestion(wanted, known)
                raise _DanglingError(f"refers to {wanted}, which does not exist{hint}")
            node = found
        return node

    def _landing(self, node: Node) -> Node:
        """Return the container that ``node`` is or refers to, to go on from."""
        if node._is_interpolation() or node._is_missing():
            self.used.add(full_key(node))
            if isinstance(self.part(node, full_key(node)), Broken):
                raise _UnavailableError
            landed = node._maybe_dereference_node()
            assert landed is not None
            return landed
        return node


def _value(argument: Any) -> Any:
    return argument._value() if isinstance(argument, ValueNode) else argument
