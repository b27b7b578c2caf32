"""Kinds of objects that a place of the configuration may take.

What counts is the object that a name leads to, never the text: ``digits.x.os.system`` is
``os.system``. Names that cannot be right are refused before anything is imported.
"""

from __future__ import annotations

import inspect
import sys
from dataclasses import dataclass
from typing import Any, Protocol

from digits.config.suggestion import either
from digits.config.targets import locate


class Rule(Protocol):
    """Which objects a slot takes."""

    def describe(self) -> str:
        """Say what the slot takes: the end of a sentence."""

    def may(self, dotted: str) -> bool:
        """Tell from the name alone whether importing it is worth while, and safe."""

    def accepts(self, target: Any) -> bool:
        """Tell whether the imported object is one of them."""


@dataclass(frozen=True)
class Defined:
    """Classes and functions defined in these packages, perhaps only those with a ``method``."""

    packages: tuple[str, ...]
    method: str | None = None

    def describe(self) -> str:
        """See :class:`Rule`."""
        if self.method:
            return f"a class of {either(self.packages)} with {self.method}()"
        return f"a class or function of {either(self.packages)}"

    def may(self, dotted: str) -> bool:
        """See :class:`Rule`."""
        return any(_inside(dotted, package) for package in self.packages)

    def accepts(self, target: Any) -> bool:
        """See :class:`Rule`."""
        if not (inspect.isclass(target) or inspect.isfunction(target) or inspect.ismethod(target)):
            return False
        if self.method and not (inspect.isclass(target) and hasattr(target, self.method)):
            return False
        module = target.__module__
        # The door itself would open for any name that is handed to it.
        return self.may(module) and not _inside(module, "digits.config")


@dataclass(frozen=True)
class Subclass:
    """A base class and its subclasses, wherever they are defined."""

    base: str

    def describe(self) -> str:
        """See :class:`Rule`."""
        return f"a subclass of {self.base}"

    def may(self, dotted: str) -> bool:
        """See :class:`Rule`."""
        # The standard library defines none of them, and importing some of it has effects.
        return dotted.split(".")[0] not in sys.stdlib_module_names

    def accepts(self, target: Any) -> bool:
        """See :class:`Rule`."""
        return (
            inspect.isclass(target) and _loaded(self.base) and issubclass(target, locate(self.base))
        )


@dataclass(frozen=True)
class Exactly:
    """One of these objects and nothing else."""

    names: tuple[str, ...]

    def describe(self) -> str:
        """See :class:`Rule`."""
        return either(self.names)

    def may(self, dotted: str) -> bool:
        """See :class:`Rule`."""
        return any(dotted.split(".")[0] == name.split(".")[0] for name in self.names)

    def accepts(self, target: Any) -> bool:
        """See :class:`Rule`."""
        return any(_loaded(name) and locate(name) is target for name in self.names)


@dataclass(frozen=True)
class AnyOf:
    """What one of several rules takes."""

    rules: tuple[Rule, ...]

    def describe(self) -> str:
        """See :class:`Rule`."""
        return either([rule.describe() for rule in self.rules])

    def may(self, dotted: str) -> bool:
        """See :class:`Rule`."""
        return any(rule.may(dotted) for rule in self.rules)

    def accepts(self, target: Any) -> bool:
        """See :class:`Rule`."""
        return any(rule.accepts(target) for rule in self.rules)


def _inside(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def _loaded(dotted: str) -> bool:
    # Who has a subclass has imported the base: otherwise there is no need to import it.
    return dotted.rpartition(".")[0] in sys.modules
