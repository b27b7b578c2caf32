"""Commands as they can be typed here, with or without an active environment."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from digits.config.resolvers import PROJECT
from digits.tracking.record import Record

FIRST_DATA = "uci"  # what a command reads that names no data
PLACES = ("data", "paths", "registry", "tracking")


def run(*overrides: str) -> str:
    """Return the command line of this program with ``overrides``."""
    if _is_active("python") and Path.cwd() == PROJECT:
        program = ["python", "run.py"]
    elif (PROJECT / "scripts" / "run").is_file():
        program = [_from_here(PROJECT / "scripts" / "run")]
    else:
        program = [sys.executable, _from_here(PROJECT / "run.py")]
    return shlex.join([*program, *overrides])


def again(record: Record, parts: Sequence[str] = PLACES) -> list[str]:
    """Return what was typed of these parts of the configuration."""
    return [text for text in record.overrides if part(text) in parts]


def serving(record: Record) -> list[str]:
    """Return the overrides that lead a service to the traffic store of this task."""
    return [f"serving.{text.lstrip('+')}" for text in again(record, ("traffic",))]


def part(override: str) -> str:
    """Return the part of the configuration that an override is about: its first key."""
    return _key(override).split(".")[0]


def same(record: Record, data: str) -> list[str]:
    """Return the overrides that lead another task to the data and the store of this one.

    Args:
        record: of this job: what was typed is typed again.
        data: name of its data, which an experiment may have chosen.
    """
    typed = again(record)
    if data == FIRST_DATA or "data" in map(_key, typed):
        return typed
    return [f"data={data}", *typed]


def _key(override: str) -> str:
    return override.split("=", 1)[0].lstrip("+~").split("@")[0]


def tool(name: str, *arguments: str) -> str:
    """Return the command line of a tool that is installed beside this interpreter."""
    path = Path(sys.executable).with_name(name)
    return shlex.join([name if _is_active(name) else _from_here(path), *arguments])


def _is_active(name: str) -> bool:
    """Tell whether typing ``name`` starts the one that belongs to this interpreter."""
    found = shutil.which(name)
    return found is not None and Path(found) == Path(sys.executable).with_name(name)


def _from_here(path: Path) -> str:
    near = os.path.relpath(path)
    return str(path) if near.startswith("..") else near
