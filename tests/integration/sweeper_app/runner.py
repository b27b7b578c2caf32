"""The sweeper's application in processes of its own, and what its sweeps leave behind."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
APP = Path(__file__).resolve().parent / "app.py"
MARK = "SWEEPER_TEST"
Done = subprocess.CompletedProcess[str]
INTERVAL = "x=interval(0,1)"
SCHEDULERS = "ray.tune.schedulers"
ASHA = f"{SCHEDULERS}.ASHAScheduler,grace_period:1,reduction_factor:2"


@dataclass
class App:
    """``python app.py ... -m`` with outputs below ``folder``."""

    folder: Path
    script: Path = APP
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)

    def start(self, *overrides: str, sweep: str = "sweep", multirun: bool = True) -> Any:
        """Start a sweep in a process group of its own, as a terminal does."""
        command = [sys.executable, str(self.script), "hydra/sweeper=ray_tune"]
        command += ["hydra.sweeper.metric=acc", f"hydra.sweep.dir={sweep}", *overrides]
        return self.launch([*command, *(["-m"] if multirun else [])])

    def launch(self, command: list[str]) -> subprocess.Popen[str]:
        """Start any command."""
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
        return subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.folder,
            env=os.environ | {MARK: self.mark, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
            start_new_session=True,
            # A shell that runs the tests in the background has them ignore Ctrl-C.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
        )

    def end(self, process: subprocess.Popen[str], timeout: float = 200) -> Done:
        """Wait, and see that nothing is left running."""
        try:
            output, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.kill_all()
            output, _ = process.communicate()
            raise AssertionError(f"still running after {timeout} s:\n{output}") from None
        self.assert_nothing_runs()
        return subprocess.CompletedProcess(process.args, process.returncode, output)

    def __call__(self, *overrides: str, sweep: str = "sweep") -> Done:
        """Sweep to the end."""
        return self.end(self.start(*overrides, sweep=sweep))

    def type(self, command: str) -> Done:
        """Run a command line that the program has printed."""
        words = [sys.executable if word == "python" else word for word in shlex.split(command)]
        return self.end(self.launch(words))

    def running(self) -> dict[int, str]:
        """Every process that has come from this application: pid -> command line."""
        found = {}
        for place in Path("/proc").glob("[0-9]*"):
            try:
                if f"{MARK}={self.mark}".encode() in (place / "environ").read_bytes():
                    line = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    found[int(place.name)] = line
            except OSError:
                continue  # it has ended, or is another user's
        return {pid: line for pid, line in found.items() if line}  # zombies have none

    def kill_all(self) -> None:
        """End what was started here."""
        for pid in self.running():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue

    def assert_nothing_runs(self, seconds: float = 90) -> None:
        """Wait for the last process to go: those of a killed driver notice it after a while."""
        end = time.monotonic() + seconds
        while (left := self.running()) and time.monotonic() < end:
            time.sleep(0.2)
        self.kill_all()
        assert not left, f"left running: {left}"

    def trials(self, sweep: str = "sweep") -> list[dict[str, Any]]:
        """The trials of `trials.json`."""
        trials: list[dict[str, Any]] = self.summary(sweep)["trials"]
        return trials

    def summary(self, sweep: str = "sweep") -> dict[str, Any]:
        """`trials.json`."""
        content: dict[str, Any] = json.loads((self.folder / sweep / "trials.json").read_text())
        return content

    def done(self, number: int, sweep: str = "sweep") -> list[dict[str, Any]]:
        """The steps that a job has really done, in order, over all its attempts."""
        file = self.folder / sweep / str(number) / "steps.jsonl"
        if not file.exists():
            return []
        return [json.loads(line) for line in file.read_text().splitlines() if line.endswith("}")]

    def await_step(self, number: int, step: int, sweep: str = "sweep", seconds: float = 120) -> int:
        """Wait until a job has done a step; return the pid that did it."""
        self.await_(lambda: any(each["step"] >= step for each in self.done(number, sweep)), seconds)
        pid: int = self.done(number, sweep)[-1]["pid"]
        return pid

    def await_(self, condition: Callable[[], bool], seconds: float = 120) -> None:
        """Wait for something to happen."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "it does not happen"
            time.sleep(0.05)


def samples(count: int) -> str:
    """The override for so many trials."""
    return f"hydra.sweeper.num_samples={count}"


def steps(count: int) -> str:
    """The override for so many steps of a trial."""
    return f"hydra.sweeper.max_t={count}"


def scheduler(target: str) -> str:
    """The override for a scheduler, its arguments after its name."""
    return f"hydra.sweeper.scheduler={{_target_:{target}}}"


def findings(trials: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What must not depend on what happened on the way."""
    kept = ("number", "status", "overrides", "value")
    return [
        {key: trial[key] for key in kept}
        | {"steps": [(step["step"], step["metrics"]) for step in trial["steps"]]}
        for trial in trials
    ]
