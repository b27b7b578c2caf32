"""`deployment=local`: supervised workers on this machine, in the background."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from digits.contract.pointer import Pointer
from digits.deployment.resolve import Watch
from digits.deployment.service import LOCK, STATE, State, command, is_running, note, prepare, state
from digits.deployment.supervisor import KILL_SECONDS, LOG, POINTER, RENEW, SETTINGS, WATCH
from digits.errors import ConfigError, DigitsError
from serving.listening import listen
from serving.settings import Limits, Settings

START_SECONDS = 60.0
LOOK_SECONDS = 0.05
LAST_LINES = 12  # of the log, shown where the start failed

Change = Literal["start", "restart", "version", "none"]


class DeploymentError(DigitsError):
    """A deployment is not there, is changed by somebody else, or does not start."""


@dataclass(frozen=True)
class Order:
    """What is to run.

    Attributes:
        settings: of the workers.
        watch: what is handed to them.
        pointer: what they answer from at first.
    """

    settings: Settings
    watch: Watch
    pointer: Pointer


class Local:
    """A service that goes on when the shell that started it has ended.

    Args:
        folder: all that is kept of it: settings, pointer, log, and while it runs where it is.
    """

    kind = "local"

    def __init__(self, *, folder: str) -> None:
        self.folder = Path(folder).expanduser().absolute()

    @property
    def log(self) -> Path:
        """Where it writes what it has to say."""
        return self.folder / LOG

    def state(self) -> State:
        """Return where it runs.

        Raises:
            DeploymentError: it does not run, or on another machine.
        """
        found = self._found()
        if found is None:
            raise DeploymentError(f"Nothing is deployed in {self.folder}: action=apply starts it")
        return found

    def _found(self) -> State | None:
        found = state(self.folder)
        if found is not None and found.host != socket.gethostname():
            raise DeploymentError(f"{self.folder} is served by {found.host}: go on there")
        return found

    def settings(self) -> Settings:
        """Return the settings that it was started with."""
        return Settings.read(self.folder / SETTINGS)

    def pointer(self) -> Pointer:
        """Return what it answers from."""
        return Pointer.read(self.folder / POINTER)

    def plan(self, order: Order) -> Change:
        """Say what :meth:`apply` would do."""
        if not is_running(self.folder):
            return "start"
        try:
            present_settings = self.settings()
        except ConfigError:  # of another version of this program
            return "restart"
        if _comparable(present_settings) != _comparable(order.settings):
            return "restart"
        file = self.folder / WATCH
        present = Watch.read(file) if file.exists() else None
        follows = order.pointer.champion.alias is not None or order.watch.challenger
        answers = (order.pointer.champion, order.pointer.challenger)
        same_models = answers == (self.pointer().champion, self.pointer().challenger)
        return (
            "none" if same_models and present == (order.watch if follows else None) else "version"
        )

    def apply(self, order: Order) -> Change:
        """Have it run as ordered: start it, start it anew, or only change the model under it.

        Raises:
            ConfigError: the address cannot be had.
            DeploymentError: it does not start, and then nothing is left of it; or somebody else
                is at work on it.
        """
        with self._claimed():
            change = self.plan(order)
            if change == "version":
                running = self.settings()
                prepare(self.folder, running, order.watch, order.pointer)
                os.kill(self.state().pid, RENEW)
            elif change != "none":
                self._start(order)
        return change

    def destroy(self) -> bool:
        """Let requests at work finish, end it, and remove its folder; False: there was none."""
        with self._claimed():
            was_there = self.folder.exists()
            self._stop()
            shutil.rmtree(self.folder, ignore_errors=True)
        return was_there

    def _start(self, order: Order) -> None:
        before = self._found()
        if before is None or not before.address.endswith(f":{order.settings.port}"):
            listen(order.settings.host, order.settings.port).close()  # before the old one is ended
        note(order.settings, order.pointer)
        self._stop()
        (self.folder / STATE).unlink(missing_ok=True)  # of one that was killed
        with listen(order.settings.host, order.settings.port) as listener:
            prepare(self.folder, order.settings, order.watch, order.pointer)
            with self.log.open("ab") as log:
                process = subprocess.Popen(
                    command(self.folder, listener),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=[listener.fileno()],
                    start_new_session=True,
                )
        _until(lambda: process.poll() is not None or self._answers(), START_SECONDS)
        if process.poll() is not None or not self._answers():
            process.terminate()
            process.wait()
            told = "\n".join(self.log.read_text(errors="replace").splitlines()[-LAST_LINES:])
            shutil.rmtree(self.folder)
            raise DeploymentError(f"The service does not start:\n{told}")
        process.returncode = 0  # it goes on without us: no warning that it was not waited for

    def _answers(self) -> bool:
        found = state(self.folder)
        return found is not None and found.started is not None

    def _stop(self) -> None:
        found = self._found()
        if found is None:
            return
        try:
            drain = self.settings().limits.drain_seconds
        except ConfigError:
            drain = Limits().drain_seconds
        os.kill(found.pid, signal.SIGTERM)
        wait = drain + 2 * KILL_SECONDS
        if not _until(lambda: not is_running(self.folder), wait):
            raise DeploymentError(f"Process {found.pid} does not end: see {self.log}")

    def _check_folder(self) -> None:
        """Leave a folder alone that was not made by :func:`prepare`: ours is removed whole."""
        present = {each.name for each in self.folder.iterdir()} if self.folder.is_dir() else set()
        if present - {LOCK} and not {SETTINGS, POINTER} <= present:
            raise DeploymentError(
                f"{self.folder} holds something else than a deployment: choose another folder as "
                f"deployment.folder"
            )

    @contextmanager
    def _claimed(self) -> Iterator[None]:
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.folder.with_name(f".{self.folder.name}.lock"), timeout=0):
                self._check_folder()
                yield
        except Timeout:
            raise DeploymentError(f"Another command is changing {self.folder}") from None


def _comparable(settings: Settings) -> Settings:
    return settings.model_copy(update={"deployment": ""})


def _until(condition: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(LOOK_SECONDS)
    return True
