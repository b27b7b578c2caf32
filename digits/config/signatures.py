"""What a target takes: its parameters with resolved annotations, and how a node binds to them."""

from __future__ import annotations

import inspect
import sys
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from digits.config.parts import TARGET, Broken, Part, Sequence, Value
from digits.config.parts import Mapping as Node
from digits.config.suggestion import suggestion
from digits.errors import Finding

SPECIAL = (TARGET, "_partial_", "_convert_", "_recursive_", "_args_")
REQUIRED = inspect.Parameter.empty
UNKNOWN: Any = inspect.Parameter.empty


@dataclass(frozen=True)
class Signature:
    """The parameters that a target takes by name.

    Attributes:
        parameters: name -> parameter; an annotation that cannot be resolved is UNKNOWN.
        positional: names that ``_args_`` fills, in order.
        endless: ``_args_`` may be longer than that.
        open: other names are taken too, and go nobody knows where.
        returns: what calling it gives: the class itself, or the annotation of a function.
    """

    parameters: Mapping[str, inspect.Parameter]
    positional: tuple[str, ...]
    endless: bool
    open: bool
    returns: Any


def signature_of(target: Any) -> Signature | None:
    """Return what ``target`` takes, or None where Python cannot tell (some built-ins)."""
    try:
        signature = inspect.signature(target)
    except (TypeError, ValueError):
        return None
    kinds = {parameter.kind for parameter in signature.parameters.values()}
    named = {
        name: _resolved(parameter, target)
        for name, parameter in signature.parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }
    positional = tuple(
        name
        for name, parameter in signature.parameters.items()
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    )
    is_open = inspect.Parameter.VAR_KEYWORD in kinds
    if is_open and inspect.isclass(target):
        inherited, is_open = _passed_on(target)
        named = {**inherited, **named}
    returns = target if inspect.isclass(target) else _hint(signature.return_annotation, target)
    endless = inspect.Parameter.VAR_POSITIONAL in kinds
    return Signature(named, positional, endless, is_open, returns)


def _passed_on(cls: type) -> tuple[dict[str, inspect.Parameter], bool]:
    """Follow ``**kwargs`` of a constructor to the parent's; say whether it stays open there.

    What the child passes itself cannot be seen, so no parameter of a parent is required.
    """
    found: dict[str, inspect.Parameter] = {}
    for owner in cls.__mro__:
        own = vars(owner).get("__init__")
        if own is None:
            continue
        if owner is object:
            break
        parameters = list(inspect.signature(own).parameters.values())[1:]
        if owner is not cls:
            for parameter in parameters:
                if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
                    optional = parameter.replace(default=None)
                    found.setdefault(parameter.name, _resolved(optional, owner))
        if all(parameter.kind is not parameter.VAR_KEYWORD for parameter in parameters):
            return found, False
        code = getattr(inspect.unwrap(own), "__code__", None)
        if code is None or not {"super", "__init__"} <= set(code.co_names):
            break
    return found, True


def _resolved(parameter: inspect.Parameter, target: Any) -> inspect.Parameter:
    return parameter.replace(annotation=_hint(parameter.annotation, target, parameter.name))


def _hint(annotation: Any, target: Any, name: str = "return") -> Any:
    """Evaluate one annotation where it was written; UNKNOWN where that fails."""
    if annotation is UNKNOWN:
        return UNKNOWN
    holder = SimpleNamespace(__annotations__={name: annotation})
    for namespace in _namespaces(target, name):
        try:
            return typing.get_type_hints(holder, namespace, include_extras=True)[name]
        except Exception:
            # An annotation is any expression; one that cannot be evaluated tells nothing.
            continue
    return UNKNOWN


def _namespaces(target: Any, name: str) -> Iterator[dict[str, Any]]:
    if inspect.isclass(target):
        for owner in target.__mro__:
            if "__init__" in vars(owner) or name in vars(owner).get("__annotations__", {}):
                yield vars(sys.modules[owner.__module__])
    function = inspect.unwrap(getattr(target, "func", target))
    module = sys.modules.get(getattr(function, "__module__", None) or "")
    yield getattr(function, "__globals__", None) or (vars(module) if module else {})


def bind(
    node: Node, signature: Signature, *, partial: bool, receives: frozenset[str] | None
) -> Iterator[Finding]:
    """Yield what ``node`` gives and its target does not take, and what it lacks."""
    name = _text(node.items.get(TARGET))
    given = {key for key in node.items if key not in SPECIAL}
    for key in sorted(given):
        if key not in signature.parameters and not signature.open:
            known = SPECIAL if key.startswith("_") else signature.parameters
            hint = suggestion(key, known)
            yield Finding(f"{node.key}.{key}", f"unexpected for {name}{hint}")
    for key in sorted(given & (receives or frozenset())):
        yield Finding(f"{node.key}.{key}", "is set by the task itself: remove it")
    count = 0
    arguments = node.items.get("_args_")
    if isinstance(arguments, Sequence):
        count = len(arguments.items)
        if count > len(signature.positional) and not signature.endless:
            most = len(signature.positional)
            yield Finding(f"{node.key}._args_", f"{name} takes at most {most} of them, not {count}")
    elif arguments is not None and not isinstance(arguments, Broken):
        yield Finding(f"{node.key}._args_", "must be a list")
    filled = signature.positional[:count]
    for key in sorted(given & set(filled)):
        yield Finding(f"{node.key}.{key}", f"given twice to {name}: also in _args_")
    if partial and receives is None:
        return
    has = given | set(filled) | (receives or frozenset() if partial else frozenset())
    for key, parameter in signature.parameters.items():
        if parameter.default is REQUIRED and key not in has:
            yield Finding(f"{node.key}.{key}", f"required by {name}, not given")


def _text(part: Part | None) -> str:
    return str(part.value) if isinstance(part, Value) else "its target"
