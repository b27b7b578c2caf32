"""`deployment=local`: supervised workers on this machine, in the background."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Literal

from digits.contract.pointer import Pointer
from digits.deployment import keys
from digits.deployment.asking import reply
from digits.deployment.ledger import LEDGER, Release
from digits.deployment.resolve import Watch
from digits.deployment.service import LOCK, STATE, State, command, is_running, note, prepare, state
from digits.deployment.supervisor import KILL_SECONDS, LOG, POINTER, RENEW, SETTINGS, WATCH
from digits.deployment.target import Order, Reply, Status, Step, Target
from digits.errors import ConfigError, DeploymentError
from serving.listening import listen
from serving.settings import Limits, Settings

START_SECONDS = 60.0
LOOK_SECONDS = 0.05
ASKED = 3  # times for each worker, to be sure that each has taken a model over
LAST_LINES = 12  # of the log, shown where the start failed

Change = Literal["start", "restart", "version", "none"]
STEPS: dict[Change, Step] = {
    "start": Step("create", "service", "a supervised process in the background"),
    "restart": Step("change", "service", "requests end in peace, then it starts with new settings"),
    "version": Step("change", "model", "under the service that runs; no request notices"),
    "none": Step("keep", "service", "it runs as ordered"),
}


class Local(Target):
    """A service that goes on when the shell that started it has ended.

    Args:
        folder: all that is kept of it: settings, pointer, log, and while it runs where it is.
    """

    kind: ClassVar[str] = "local"
    follows: ClassVar[bool] = True

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

    def plan(self, order: Order) -> list[Step]:
        """Say what :meth:`apply` would do."""
        return [STEPS[self._change(order)]]

    def _change(self, order: Order) -> Change:
        if not is_running(self.folder):
            return "start"
        has_keys = keys.are_noted(self.folder)
        try:
            present_settings = self.settings()
        except ConfigError:  # of another version of this program
            return "restart"
        if not has_keys or _comparable(present_settings) != _comparable(order.settings):
            return "restart"
        file = self.folder / WATCH
        present = Watch.read(file) if file.exists() else None
        follows = order.pointer.champion.alias is not None or order.watch.challenger
        answers = (order.pointer.champion, order.pointer.challenger)
        same_models = answers == (self.pointer().champion, self.pointer().challenger)
        return (
            "none" if same_models and present == (order.watch if follows else None) else "version"
        )

    def apply(self, order: Order) -> list[Step]:
        """Have it run as ordered: start it, start it anew, or only change the model under it.

        Raises:
            ConfigError: the address cannot be had.
            DeploymentError: it does not start, and then nothing is left of it; it has API keys,
                and none are said here; or somebody else is at work on it.
        """
        with self.claimed():
            change = self._change(order)
            if change == "version":
                self._answer_from(order.pointer, order.watch)
            elif change != "none":
                self._start(order)
            self.ledger.released(Release(model=order.model))
        return [STEPS[change]]

    def status(self) -> Status:
        """Ask the service which version answers, and look at its process."""
        state = self.state()
        since = f"{state.started:%Y-%m-%d %H:%M:%S} UTC" if state.started else "it is starting"
        rows = (("since", since), ("process", str(state.pid)), ("log", str(self.log)))
        if not state.started:
            return Status("none yet", state.address, rows)
        found = reply(f"{state.address}/v1/model")
        version = str(found.content.get("version", f"none: it answers {found.status}"))
        return Status(version, state.address, rows)

    def ask(self, body: bytes, content_type: str) -> Reply:
        """Send one request to the service."""
        return reply(f"{self.state().address}/v1/predict", body, kind=content_type)

    def rollback(self) -> list[Step]:
        """Answer from the version before, under the service that runs; no alias is followed."""
        with self.claimed():
            self.state()
            ledger = self.ledger
            if ledger.previous is None:
                raise DeploymentError(f"{self.folder}: no version was out before this one")
            before = ledger.previous.model.model_copy(update={"alias": None})
            watch = Watch.read(self.folder / WATCH) if (self.folder / WATCH).exists() else None
            self._answer_from(Pointer(champion=before), watch)
            ledger.rolled_back()
        return [Step("change", "model", f"{before.version} answers again")]

    def destroy(self) -> list[Step]:
        """Let requests at work finish, end it, and remove its folder."""
        with self.claimed():
            was_there = self.folder.exists()
            self._stop()
            shutil.rmtree(self.folder, ignore_errors=True)
        return [Step("remove", "service", "traffic and models are kept")] if was_there else []

    def _answer_from(self, pointer: Pointer, watch: Watch | None) -> None:
        """Change the model under the workers, and wait until they have taken it over."""
        settings, state, version = self.settings(), self.state(), pointer.champion.version
        prepare(self.folder, settings, watch, pointer)
        os.kill(state.pid, RENEW)
        asked = range(ASKED * settings.workers)  # which of them answers is the kernel's choice

        def taken_over() -> bool:
            found = (reply(f"{state.address}/v1/model").content for _ in asked)
            return all(each.get("version") == version for each in found)

        if not _until(taken_over, START_SECONDS):
            raise DeploymentError(f"The service does not answer from {version}: see {self.log}")

    def _start(self, order: Order) -> None:
        before = self._found()
        if before is None or not before.address.endswith(f":{order.settings.port}"):
            listen(order.settings.host, order.settings.port).close()  # before the old one is ended
        note(order.settings, order.pointer)
        self._stop()
        (self.folder / STATE).unlink(missing_ok=True)  # of one that was killed
        with listen(order.settings.host, order.settings.port) as listener:
            prepare(self.folder, order.settings, order.watch, order.pointer)
            keys.note_keys(self.folder)
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
        if present - {LOCK, LEDGER} and not {SETTINGS, POINTER} <= present:
            raise DeploymentError(
                f"{self.folder} holds something else than a deployment: choose another folder as "
                f"deployment.folder"
            )


def _comparable(settings: Settings) -> Settings:
    return settings.model_copy(update={"deployment": ""})


def _until(condition: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(LOOK_SECONDS)
    return True
