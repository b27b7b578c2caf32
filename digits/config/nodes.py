"""Raw OmegaConf nodes, interpolations not followed: their paths and their entries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from omegaconf import Container, DictConfig, ListConfig, Node


def full_key(node: Node) -> str:
    """Return the path of ``node`` from the root of its tree, e.g. ``trainer.logger[0]``."""
    parent = node._get_parent_container()
    if parent is None:
        return ""
    above, name = full_key(parent), node._key()
    if isinstance(parent, ListConfig):
        return f"{above}[{name}]"
    return f"{above}.{name}" if above else str(name)


def members(container: Container) -> Iterator[tuple[str, Node]]:
    """Yield the path and the raw node of each entry, interpolations not followed."""
    if not (container._is_none() or container._is_missing() or container._is_interpolation()):
        for _, raw in entries(container):
            yield full_key(raw), raw


def entries(container: Container) -> Iterator[tuple[Any, Node]]:
    """Yield the name (or index) and the raw node of each entry."""
    if isinstance(container, ListConfig):
        names: list[Any] = list(range(len(container)))
    else:
        assert isinstance(container, DictConfig)
        names = list(container)
    for name in names:
        raw = container._get_node(name)
        assert isinstance(raw, Node)
        yield name, raw


def entry(node: Node, step: str) -> Node | None:
    """Return the raw node at ``step`` (text, also for an index) of ``node``, or None."""
    if not isinstance(node, Container) or node._is_none():
        return None
    for name in (step, int(step)) if step.lstrip("-").isdigit() else (step,):
        if isinstance(node, ListConfig) and not (isinstance(name, int) and name < len(node)):
            continue
        found = node._get_node(name, validate_access=False)
        if isinstance(found, Node):
            return found
    return None
