"""The steps of a turn are commands of this program, typed by a program."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from digits.config.resolvers import PROJECT
from digits.contract import leash
from digits.errors import LoopError
from digits.tasks import commands
from digits.tasks.turn.plan import StepName
from digits.tracking.record import Record

END_SECONDS = 20.0  # for a step to close what it has open
LAST_LINES = 12  # of what a step has printed, shown where it failed


class Commands:
    """Run tasks on the loop's own data and stores, each in a folder of its own.

    Args:
        record: of the loop; where it keeps things, its steps do too.
        shared: part of the configuration -> overrides, for the steps that have such a part.
        folder: the steps' folders go below it.
        more: name of a step -> overrides that the user has added to it.
    """

    def __init__(
        self,
        record: Record,
        *,
        shared: Mapping[str, Sequence[str]],
        folder: Path,
        more: Mapping[StepName, Sequence[str]],
    ) -> None:
        self._folder = folder
        self._more = more
        self._always = [f"seed={record.seed}", *commands.again(record, ("paths", "tracking"))]
        self._shared = shared

    def __call__(
        self,
        step: StepName,
        task: str,
        *overrides: str,
        needs: Sequence[str],
        place: str | None = None,
        allowed: Sequence[int] = (0,),
    ) -> tuple[int, Path]:
        """Run one task to its end.

        Args:
            step: its name.
            task: the `task` option.
            overrides: besides what is shared.
            needs: parts of the configuration that it shares with the loop.
            place: name of its folder; None: that of the step.
            allowed: exit codes that are no failure.

        Returns:
            The exit code and the step's folder.

        Raises:
            LoopError: it failed; with its last lines.
        """
        folder = self._folder / (place or step)
        folder.mkdir(parents=True, exist_ok=True)
        shared = [each for part in needs for each in self._shared[part]]
        line = [f"task={task}", *self._always, *shared, *overrides, *self._more.get(step, ())]
        log = folder / "output.txt"
        code = _run([*line, f"hydra.run.dir={folder}"], log)
        if code not in allowed:
            told = "\n".join(log.read_text(errors="replace").splitlines()[-LAST_LINES:])
            raise LoopError(f"The step {step} failed (exit code {code}):\n{told}")
        return code, folder


def _run(line: Sequence[str], log: Path) -> int:
    """Run a command that ends with this process, even where that is killed."""
    with (
        log.open("w", encoding="utf-8") as stream,
        subprocess.Popen(
            [sys.executable, str(PROJECT / "run.py"), *line],
            stdin=subprocess.PIPE,
            stdout=stream,
            stderr=subprocess.STDOUT,
            cwd=PROJECT,
            env={**os.environ, leash.VARIABLE: "1", "COLUMNS": "200"},
        ) as process,
    ):
        try:
            return process.wait()
        except BaseException:
            assert process.stdin is not None
            process.stdin.close()  # SIGTERM: it closes what it has open
            with suppress(subprocess.TimeoutExpired):
                process.wait(END_SECONDS)
            process.kill()
            raise


def metrics_of(folder: Path) -> dict[str, Any]:
    """Return the final metrics that a task has left in its folder."""
    found: dict[str, Any] = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    return found
