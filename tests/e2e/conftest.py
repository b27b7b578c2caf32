"""Whole commands in processes of their own."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

ROOT = Path(__file__).resolve().parents[2]
Done = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class Program:
    """``python run.py`` with outputs of its own, and the store it writes to."""

    folder: Path

    def command(self, overrides: Sequence[str]) -> list[str]:
        """What is executed."""
        root = [] if any(each.startswith("paths.root=") for each in overrides) else [self.root]
        return [sys.executable, str(ROOT / "run.py"), *root, *overrides]

    @property
    def root(self) -> str:
        """The override that puts everything under ``folder``."""
        return f"paths.root={self.folder / 'outputs'}"

    def __call__(self, *overrides: str, timeout: float = 240, **environment: str) -> Done:
        """Run to the end, from a folder that is not the project's."""
        return subprocess.run(
            self.command(overrides),
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=os.environ | environment,
            timeout=timeout,
            check=False,
        )

    def type(self, command: str) -> Done:
        """Run a command line that the program has printed."""
        typed = [sys.executable if word == "python" else word for word in shlex.split(command)]
        script = str(ROOT / "scripts" / "run")
        if typed[0] == script:  # it would set up another environment than that of the tests
            typed[:1] = [sys.executable, str(ROOT / "run.py")]
        return subprocess.run(
            typed, capture_output=True, text=True, cwd=self.folder, timeout=240, check=False
        )

    def start(self, *overrides: str) -> subprocess.Popen[str]:
        """Start, and go on at once."""
        return subprocess.Popen(
            self.command(overrides),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.folder,
            # A shell that runs the tests in the background has them ignore Ctrl-C.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
        )

    def client(self) -> MlflowClient:
        """Read the store."""
        return MlflowClient(f"sqlite:///{self.folder}/outputs/mlflow.db")

    def runs(self) -> list[Run]:
        """Every run, the oldest first."""
        client = self.client()
        experiment = client.get_experiment_by_name("digits")
        if experiment is None:
            return []
        return list(
            client.search_runs([experiment.experiment_id], order_by=["attributes.start_time ASC"])
        )


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """The program, with everything it writes below ``tmp_path``."""
    return Program(tmp_path)


@pytest.fixture(scope="module")
def shared_program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    """The same, for tests that look at one run together."""
    return Program(tmp_path_factory.mktemp("shared"))
