"""The one door through which a configuration becomes objects.

Nothing else calls Hydra's ``instantiate``: here every target is held against the allow-list once
more, and a constructor that fails is reported with the key a user can type.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate as hydra_instantiate
from omegaconf import DictConfig, ListConfig
from pydantic import ValidationError

from digits.config.allowed import RefusedError, Slot, admit
from digits.config.nodes import full_key
from digits.config.parts import TARGET, Broken, Mapping, Value, plain
from digits.config.suggestion import one_line, show
from digits.config.tree import Reader
from digits.errors import ConfigError, DigitsError, Finding


def instantiate(
    node: DictConfig | ListConfig | None, *, _slots_: Sequence[Slot] | None = None, **kwargs: Any
) -> Any:
    """Build what ``node`` describes, plain containers inside.

    Args:
        node: a part of a composed tree, still in its place: its key decides what is allowed.
        _slots_: what may stand where; ours unless given.
        kwargs: further arguments of the outermost target. They are objects, never configuration:
            a ``_target_`` inside them is not followed.

    Returns:
        The object; a partial with ``_partial_``; a dict or list of objects for a mapping or list
        without a target; None for None.

    Raises:
        ConfigError: a target is not allowed, a value is missing, or a constructor failed: the
            key concerned, with the original cause.
        DigitsError: raised by a constructor on purpose, as it is.
    """
    if node is None or node._is_none():
        return None
    root = node._get_root()
    reader = Reader(root)
    part = reader.part(node, full_key(node))
    if reader.findings:
        raise ConfigError(sorted(reader.findings))
    _verify(reader, _slots_)
    if kwargs and part.key not in reader.nodes:
        raise TypeError(f"{part.key} has no _target_ that could take {', '.join(kwargs)}")
    try:
        if not kwargs:
            return hydra_instantiate(node, _convert_="all")
        make = hydra_instantiate(node, _convert_="all", _partial_=True)
    except InstantiationException as error:
        cause = error.__cause__ or error
        if isinstance(cause, DigitsError):
            raise cause from None
        key = _culprit(error, reader, part.key)
        raise ConfigError(explain(key, cause, reader.nodes.get(key))) from cause
    if isinstance(node, DictConfig) and node.get("_partial_", False):
        return functools.partial(make, **kwargs)
    try:
        return make(**kwargs)
    except DigitsError:
        raise
    except Exception as error:
        # A constructor may raise anything; whatever it is, it belongs to this key.
        raise ConfigError(explain(part.key, error, reader.nodes[part.key])) from error


def explain(key: str, error: BaseException, node: Mapping | None = None) -> list[Finding]:
    """Return what the constructor of ``node``, at ``key``, complained about.

    The key of an argument where the message leaves no doubt which it is about, else the node's.
    """
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ValidationError):
        cause = cause.__cause__
    if cause is None:
        text = one_line(error)
        name = _argument(text, node)
        return [Finding(f"{key}.{name}" if name else key, text)]
    first: dict[str, Finding] = {}
    for each in cause.errors(include_url=False):
        path = f"{key}.{each['loc'][0]}" if each["loc"] else key
        text = f"{one_line(ValueError(each['msg']))}, not {show(each['input'])}"
        first.setdefault(path, Finding(path, text[0].lower() + text[1:]))
    return list(first.values())


def _argument(message: str, node: Mapping | None) -> str | None:
    """Return the one argument of ``node`` whose name, or else whose value, is in ``message``."""
    given = {
        name: part
        for name, part in (node.items if node else {}).items()
        if not name.startswith("_")
    }
    values = {name: part.value for name, part in given.items() if isinstance(part, Value)}
    for words in ({name: name for name in given}, values):
        found = [
            name
            for name, word in words.items()
            if re.search(rf"(?<![\w.-]){re.escape(str(word))}(?![\w-]|\.\d)", message)
        ]
        if len(found) == 1:
            return found[0]
    return None


def _verify(reader: Reader, slots: Sequence[Slot] | None) -> None:
    findings = []
    for key, node in reader.nodes.items():
        target = node.items[TARGET]
        if isinstance(target, Broken):
            continue
        try:
            admit(key, plain(target), slots)
        except RefusedError as error:
            findings.append(Finding(target.key, str(error)))
    if findings:
        raise ConfigError(findings)


def _culprit(error: InstantiationException, reader: Reader, default: str) -> str:
    found = re.search(r"full_key: (\S+)\s*$", str(error))
    return reader.home(found[1]) if found else default
