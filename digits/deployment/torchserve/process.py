"""The server's process: started under supervision, found again, ended."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from digits.contract.files import write_atomically
from digits.deployment.child import PYTHON
from digits.deployment.torchserve.command import LOG_FORM, LOGGING, MARK, SETTINGS, command
from digits.deployment.torchserve.keeper import COMMAND, END_SECONDS, LOG
from digits.errors import DeploymentError
from serving.settings import SETTINGS as NAMES_SETTINGS
from serving.settings import Settings

if TYPE_CHECKING:
    import psutil

KEEPER = "digits.deployment.torchserve.keeper"
LOOK_SECONDS = 0.2


def start(folder: Path, settings: Settings, *, temporary: Path) -> subprocess.Popen[bytes]:
    """Start the keeper of a server that is configured already; the server goes on without us.

    Args:
        folder: holds its configuration.
        settings: handed to its workers.
        temporary: folder for its sockets and what it unpacks.

    Raises:
        DeploymentError: there is no Java.
        MissingExtraError: there is no TorchServe.
    """
    environment = {
        NAMES_SETTINGS: str(folder / SETTINGS),
        "OMP_NUM_THREADS": str(settings.threads),
    }
    run = {"command": command(folder, temporary), "environment": environment}
    write_atomically(folder / LOG_FORM, LOGGING)
    write_atomically(folder / SETTINGS, settings.model_dump_json(indent=2) + "\n")
    write_atomically(folder / COMMAND, json.dumps(run, indent=2) + "\n")
    with (folder / LOG).open("ab") as log:
        return subprocess.Popen(
            [*PYTHON, "-m", KEEPER, str(folder)],
            cwd=folder,  # TorchServe writes its tokens to where it runs
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def stop(folder: Path) -> None:
    """End keeper and server, the latter also where the keeper was killed.

    Raises:
        DeploymentError: they do not end.
    """
    until = time.monotonic() + END_SECONDS + 5
    number = signal.SIGTERM
    while found := processes(folder):
        late = time.monotonic() - until
        if late > END_SECONDS:
            raise DeploymentError(f"TorchServe does not end: see {folder / LOG}")
        if number == signal.SIGTERM or late > 0:
            for process in found:
                _send(process, signal.SIGKILL if late > 0 else number)
            number = signal.SIGKILL
        time.sleep(LOOK_SECONDS)


def is_there(folder: Path) -> bool:
    """Tell whether keeper or server of a folder are there."""
    return bool(processes(folder))


def processes(folder: Path) -> list[psutil.Process]:
    """Return keeper and server of a folder, known by their command lines."""
    import psutil

    found = []
    for process in psutil.process_iter():
        try:
            line = process.cmdline()  # of one that is dead already: none
        except psutil.Error:
            continue
        if f"{MARK}{folder}" in line or (KEEPER in line and str(folder) in line):
            found.append(process)
    return found


def _send(process: psutil.Process, number: int) -> None:
    import psutil

    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return
