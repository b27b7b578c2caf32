"""Wording that findings share."""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Iterable
from typing import Any

LONGEST = 200


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean x?"`` for those of ``known`` whose last part is like ``name``'s."""
    keys = list(known)
    leaves = difflib.get_close_matches(leaf(name), {leaf(key) for key in keys}, n=2, cutoff=0.7)
    near = [key for like in leaves for key in keys if leaf(key) == like][:2]
    return f"; did you mean {either(near)}?" if near else ""


def leaf(key: str) -> str:
    """Return the last part of a dotted key."""
    return key.rpartition(".")[2]


def one_line(error: BaseException) -> str:
    """Return the message of ``error`` on one line, of bounded length."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def show(value: Any) -> str:
    """Return ``value`` as it would be typed: null, true, "ten", [1, 2]."""
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."


def either(names: Collection[str]) -> str:
    """Join alternatives: ``a``, ``a or b``, ``a, b or c``."""
    *first, last = dict.fromkeys(names)
    return f"{', '.join(first)} or {last}" if first else last
