"""What a job knows of itself before it starts: its folder, its configuration, its overrides."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from digits.errors import ResumeError

CONFIG_FILE = "config.yaml"
RUN_FILE = "run.json"
PARENT_FILE = "parent.json"
GIT_SECONDS = 10


@dataclass(frozen=True)
class Record:
    """Written before anything is built, and logged to the run.

    Attributes:
        folder: the run folder; everything the run writes locally is below it.
        task: name of the task option.
        config_digest: sha256 (hex) of the canonical configuration.
        parameters: the canonical configuration, flattened to dotted keys.
        overrides: what was typed, in Hydra's grammar.
        seed: the one seed.
        job: its number in a sweep; None outside of sweeps.
        parent_run_id: the sweep's tracked run, where it has one.
    """

    folder: Path
    task: str
    config_digest: str
    parameters: Mapping[str, Any]
    overrides: Sequence[str]
    seed: int
    job: int | None = None
    parent_run_id: str | None = None

    @property
    def config_file(self) -> Path:
        """The canonical configuration, as YAML."""
        return self.folder / CONFIG_FILE

    @property
    def run_file(self) -> Path:
        """The id of the tracked run, as JSON, once there is one."""
        return self.folder / RUN_FILE

    @property
    def metrics_file(self) -> Path:
        """The final metrics, as JSON, for whoever called the command."""
        return self.folder / "metrics.json"

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Keep the run folder for this process: two that train into one would spoil both.

        Raises:
            ResumeError: another process is at work in it.
        """
        lock = FileLock(self.folder / ".lock", timeout=0)
        try:
            with lock:
                yield
        except Timeout:
            raise ResumeError(f"resume: the run in {self.folder} is still going") from None

    def run_id(self) -> str:
        """Return the id of the run that this folder belongs to."""
        return str(json.loads(self.run_file.read_text(encoding="utf-8"))["run_id"])


def run_id_in(file: Path) -> str | None:
    """Return the id of the tracked run that ``file`` (``run.json``, ``parent.json``) names, if any.

    A job finds its sweep's run this way, in whichever process or on whichever host it runs.
    """
    try:
        return str(json.loads(file.read_text(encoding="utf-8"))["run_id"])
    except FileNotFoundError:
        return None


def git_commit(folder: Path, *, but: str | None = None) -> str:
    """Return the commit checked out at ``folder``, ``-dirty`` appended for local changes.

    Outside a checkout what ``DIGITS_COMMIT`` says, as in an image of ours; else ``unknown``.

    Args:
        folder: in the checkout.
        but: a folder of the checkout whose changes do not count, as a path from its top.
    """

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            check=True,
            timeout=GIT_SECONDS,
        ).stdout.strip()

    try:
        commit = git("rev-parse", "HEAD")
        rest = [] if but is None else ["--", ":(top)", f":(top,exclude){but}"]
        changes = git("status", "--porcelain", "--untracked-files=no", *rest)
    except (OSError, subprocess.SubprocessError):
        return os.environ.get("DIGITS_COMMIT") or "unknown"
    return f"{commit}-dirty" if changes else commit
