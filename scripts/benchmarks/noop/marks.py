"""Moments of a run, from all of its processes in one file: a line for each."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

VARIABLE = "DIGITS_BENCH_MARKS"  # names the file; every process of the run inherits it
SWEEP, FIT = "run", "_search"  # steps of the sweep
CONNECT, READY = "_connect", "ready"  # of the connection to Ray


@dataclass(frozen=True)
class Mark:
    """One span: its name, begin and end in seconds of the system's clock, and its process."""

    name: str
    begin: float
    end: float
    process: int


def mark(name: str, begin: float, end: float | None = None) -> None:
    """Write a span down; without ``end`` it ends now."""
    ended = time.time() if end is None else end
    line = json.dumps({"name": name, "begin": begin, "end": ended, "process": os.getpid()})
    with Path(os.environ[VARIABLE]).open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")  # one short write to the end of the file: lines stay whole


def read(file: Path) -> list[Mark]:
    """Return all spans, in the order in which they ended."""
    return [Mark(**json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]


def traced(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``function`` with its calls marked."""

    # Not ``functools.wraps``: under the original's name a worker would look up the original.
    def timed(*args: Any, **kwargs: Any) -> Any:
        begin = time.time()
        try:
            return function(*args, **kwargs)
        finally:
            mark(name, begin)

    return timed


def trace_sweeper() -> None:
    """Mark the steps of a sweep in this process."""
    from hydra_plugins.ray_tune_sweeper import _cluster, _core

    for owner, names in (
        (_core.Sweep, (SWEEP, FIT)),
        (_cluster.Cluster, (CONNECT, READY)),
    ):
        for name in names:
            setattr(owner, name, traced(name, getattr(owner, name)))
