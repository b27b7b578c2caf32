"""Commands that are timed: each in a scratch folder, and nothing of it running afterwards."""

from __future__ import annotations

import csv
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from scripts.benchmarks._results import ROOT
from scripts.benchmarks.noop import marks
from scripts.benchmarks.noop.marks import Mark

SLOTS = 2  # trials side by side: the goals are stated for two cores
LEAVING_SECONDS = 60.0  # Ray's agents end some 20 s after their driver


@dataclass(frozen=True)
class Ran:
    """One finished command.

    Attributes:
        begin: when its process was started, seconds of the system's clock.
        seconds: until its process ended.
        marks: what its processes marked.
    """

    begin: float
    seconds: float
    marks: Sequence[Mark]

    def named(self, name: str) -> list[Mark]:
        """Return the spans of this name."""
        return [each for each in self.marks if each.name == name]

    def span(self, name: str) -> Mark:
        """Return the only span of this name."""
        (span,) = self.named(name)
        return span


@contextmanager
def scratch() -> Iterator[Path]:
    """Give a folder that is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="digits-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def timed(
    arguments: Sequence[str], folder: Path, *, environment: Mapping[str, str] | None = None
) -> Ran:
    """Run ``python <arguments>`` and time it; its failure ends the benchmark."""
    file = folder / "marks"
    file.touch()
    command = [sys.executable, *arguments]
    variables = {**os.environ, "PYTHONPATH": str(ROOT), marks.VARIABLE: str(file)}
    variables |= environment or {}
    # Not a pipe: what outlives the command would keep it open.
    with (folder / "output").open("w+", encoding="utf-8") as output:
        begin = time.time()
        try:
            done = subprocess.run(
                command, stdout=output, stderr=output, check=False, cwd=folder, env=variables
            )
            seconds = time.time() - begin
        finally:
            _end_all(str(file))
        if done.returncode:
            output.seek(0)
            shown = output.read()[-3000:]
            sys.exit(f"{shlex.join(command)} ended with {done.returncode}:\n{shown}")
    return Ran(begin, seconds, marks.read(file))


def sweep(overrides: Sequence[str], folder: Path) -> Ran:
    """Time ``python run.py -m`` with these overrides, its results under ``folder``."""
    places = [f"paths.root={folder}", f"paths.cache={ROOT}/outputs/cache"]
    return timed([str(ROOT / "run.py"), *overrides, *places, "-m"], folder)


def leaderboard(folder: Path) -> list[dict[str, str]]:
    """Return the trials of the sweep under ``folder``, ranked, the best that finished first."""
    (file,) = folder.glob("sweeps/**/leaderboard.csv")
    with file.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def _end_all(marker: str) -> None:
    """Wait until no process of the command is left, or end it: the next one would be slower."""
    deadline = time.monotonic() + LEAVING_SECONDS
    while left := _processes(marker):
        if time.monotonic() > deadline:
            print(f"  {len(left)} processes were left behind", file=sys.stderr)
            for process in left:
                os.kill(process, signal.SIGKILL)
            return
        time.sleep(0.5)


def _processes(marker: str) -> list[int]:
    """Return the processes that have inherited the variable ``marker`` (Linux)."""
    wanted = f"{marks.VARIABLE}={marker}".encode()
    found = []
    for file in Path("/proc").glob("[0-9]*/environ"):
        try:
            if wanted in file.read_bytes().split(b"\0"):
                found.append(int(file.parent.name))
        except OSError:
            continue
    return found
