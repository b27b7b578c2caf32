"""Keys that nothing reads: a typing error that would otherwise pass in silence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from omegaconf import Container, DictConfig

from digits.config.frame import OUTSIDE
from digits.config.nodes import members
from digits.config.suggestion import leaf, suggestion
from digits.config.tree import Reader
from digits.errors import Finding


def unread(config: DictConfig, reader: Reader) -> Iterator[Finding]:
    """Yield the highest keys of which nothing was read, each with the key perhaps meant."""
    touched = {above for key in reader.used for above in _ancestors(key)}
    yield from _unread(config, touched, reader)


def _unread(container: Container, touched: set[str], reader: Reader) -> Iterator[Finding]:
    for key, raw in members(container):
        name = leaf(key)
        if key in OUTSIDE:
            continue  # whoever reads it checks it
        if key not in touched:
            # ``_target_`` and the like are read by whoever builds, or not at all.
            if not (name.startswith("_") and name.endswith("_")):
                yield Finding(key, f"nothing reads this key{_meant(key, reader.homes)}")
        elif isinstance(raw, Container) and key not in reader.nodes:
            yield from _unread(raw, touched, reader)


def _ancestors(key: str) -> Iterator[str]:
    yield key
    for index, character in enumerate(key):
        if character in ".[":
            yield key[:index]


def _meant(key: str, known: Iterable[str]) -> str:
    """Suggest a key of the same name elsewhere, else one of a near name beside it or anywhere."""
    plain = [each for each in sorted(known) if not leaf(each).startswith("_") and "[" not in each]
    same = [each for each in plain if leaf(each) == leaf(key)]
    above = key.rpartition(".")[0]
    siblings = [each for each in plain if each.rpartition(".")[0] == above]
    return suggestion(key, same) or suggestion(key, siblings) or suggestion(key, plain)
