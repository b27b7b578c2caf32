"""One command of ``run.py`` as a part of a step, typed by a program."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import IO, Any

BESIDE = Path(__file__).resolve().parents[1] / "run.py"
PROGRAM = Path(os.environ.get("DIGITS_PROGRAM", BESIDE))  # where it is installed apart from us
SCREEN = {"COLUMNS": "200", "PYTHONUNBUFFERED": "1"}  # of a log that a browser shows


class Command:
    """Runs tasks for one step.

    Args:
        place: ``root``, the folder of everything that is written; ``name`` of the model;
            ``shared``, overrides of every step; ``data``, of those that read data.
        own: overrides of this step.
        reads: whether its tasks read data.
        names: whether they have a registered model.
        digest: of the data that they read; None: what the overrides say.

    Attributes:
        root: that folder.
    """

    def __init__(
        self,
        place: Mapping[str, Any],
        own: Sequence[str],
        *,
        reads: bool = True,
        names: bool = True,
        digest: str | None = None,
    ) -> None:
        self.root = Path(place["root"])
        self._overrides = [f"paths.root={quoted(self.root)}", *place["shared"]]
        self._overrides += place["data"] if reads else []
        self._overrides += [f"data.version={quoted(digest)}"] if digest else []
        self._overrides += [f"registry.name={quoted(place['name'])}"] if names else []
        self._overrides += own

    def __call__(
        self,
        task: str,
        *more: str,
        allowed: Sequence[int] = (0,),
        sweep: bool = False,
        output: IO[str] | None = None,
    ) -> tuple[int, Path]:
        """Run one task to its end; return its exit code and its folder.

        Args:
            task: its name.
            more: overrides besides those of the step.
            allowed: exit codes that are no failure.
            sweep: whether it is a multirun.
            output: takes what it prints; None: that goes where this process prints.

        Raises:
            SystemExit: its exit code is not among those ``allowed``; with that code.
        """
        now = datetime.now()
        kind, key = ("sweeps", "sweep") if sweep else ("runs", "run")
        folder = self.root / kind / f"{now:%Y-%m-%d}" / f"{now:%H-%M-%S-%f}-{task}"
        where = f"hydra.{key}.dir={quoted(folder)}"
        line = [f"task={task}", *self._overrides, *more, where, *(["-m"] if sweep else [])]
        assert_whole()
        began = time.monotonic()
        command, environment = [sys.executable, str(PROGRAM), *line], {**os.environ, **SCREEN}
        code = subprocess.call(command, env=environment, stdout=output)
        sys.stdout.write(f"task={task} ended with exit code {code} after ")
        sys.stdout.write(f"{time.monotonic() - began:.2f} s\n")
        sys.stdout.flush()
        if code not in allowed:
            raise SystemExit(code if code > 0 else 128 - code)
        return code, folder


def assert_whole() -> None:
    """Hold that the program is here.

    Raises:
        SystemExit: it is not.
    """
    if not PROGRAM.is_file():
        sys.exit(f"The image lacks the project: there is no {PROGRAM}")


def quoted(value: object) -> str:
    """Return a text as a text in Hydra's grammar, whatever it looks like."""
    escaped = str(value).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
