"""A service on this machine: ``python -m digits.deployment.service <folder> [--fd N]``.

The folder holds everything that its processes read; :func:`prepare` writes it. While the service
runs, it holds the lock and says in ``state.json`` where it is.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import os
import socket
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict

from digits.contract import switches
from digits.contract.files import write_atomically
from digits.contract.pointer import Pointer
from digits.contract.prediction import Deployment
from digits.deployment.child import PYTHON
from digits.deployment.supervisor import POINTER, SETTINGS, WATCH, Supervisor
from digits.errors import DigitsError
from serving.listening import address_of, listen
from serving.settings import Settings

if TYPE_CHECKING:
    from digits.deployment.resolve import Watch  # loads MLflow

STATE, SCREEN, LOCK = "state.json", "screen.txt", ".lock"
LOOKED_AT_SECONDS = 1.0  # longer than anybody holds the lock to see whether it is free


class State(BaseModel):
    """What a running service says of itself.

    Attributes:
        host: the machine that it runs on; others may see its folder.
        pid: of the process that takes SIGTERM.
        address: where it answers.
        deployment: its id, kept with every prediction.
        started: when it answered first; None: not yet.
    """

    model_config = ConfigDict(frozen=True)

    host: str
    pid: int
    address: str
    deployment: str
    started: datetime | None = None


def prepare(folder: Path, settings: Settings, watch: Watch | None, pointer: Pointer) -> None:
    """Write what the processes of a service read, closed to others; note what is started.

    Raises:
        TrafficError: the store cannot be written: better told now than found in a log.
    """
    note(settings, pointer)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_atomically(folder / SETTINGS, settings.model_dump_json(indent=2) + "\n")
    pointer.write(folder / POINTER)
    if watch is not None and (pointer.champion.alias is not None or watch.challenger):
        write_atomically(folder / WATCH, watch.model_dump_json(indent=2) + "\n")
    else:
        (folder / WATCH).unlink(missing_ok=True)


def note(settings: Settings, pointer: Pointer) -> None:
    """Note the deployment in the traffic store, which is created before several workers come."""
    if settings.traffic.url is None:
        return
    from digits.contract.traffic import TrafficStore

    digest = hashlib.sha256(settings.model_dump_json().encode()).hexdigest()
    kind, version = settings.deployment.partition("-")[0], pointer.champion.version
    host = socket.gethostname()
    store = TrafficStore(settings.traffic.url)
    store.deploy(Deployment(settings.deployment, time.time(), kind, host, version, digest))
    store.close()


def command(folder: Path, listener: socket.socket) -> list[str]:
    """Return the command of the service in ``folder``; ``listener`` has to be inheritable."""
    program = [*PYTHON, "-m", "digits.deployment.service"]
    return [*program, str(folder), "--fd", str(listener.fileno())]


def is_running(folder: Path) -> bool:
    """Tell whether a service holds the folder; right also after it was killed.

    A folder without a lock is left as it is.
    """
    if not (folder / LOCK).exists():
        return False
    try:
        with FileLock(folder / LOCK, timeout=0):
            return False
    except Timeout:
        return True


def state(folder: Path) -> State | None:
    """Return what the service in ``folder`` says of itself; None where there is none."""
    try:
        found = State.model_validate_json((folder / STATE).read_bytes())
    except FileNotFoundError:
        return None
    return found if is_running(folder) else None


def main() -> int:
    """Serve until a signal comes; return the exit code."""
    switches.apply()
    parser = argparse.ArgumentParser(prog="python -m digits.deployment.service")
    parser.add_argument("folder", type=Path, help="what was prepared")
    parser.add_argument("--fd", type=int, help="listening socket that was opened already")
    given = parser.parse_args()
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    try:
        with FileLock(given.folder / LOCK, timeout=LOOKED_AT_SECONDS):
            _serve(given.folder, given.fd)
    except Timeout:
        sys.stderr.write(f"{given.folder}: this service is running already\n")
        return 1
    except (DigitsError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return getattr(error, "exit_code", 1)
    return 0


def _serve(folder: Path, descriptor: int | None) -> None:
    settings = Settings.read(folder / SETTINGS)
    if descriptor is None:
        listener = listen(settings.host, settings.port)
    else:
        listener = socket.socket(fileno=descriptor)
    file, screen = folder / STATE, folder / SCREEN
    begun = State(
        host=socket.gethostname(),
        pid=os.getpid(),
        address=address_of(listener),
        deployment=settings.deployment,
    )

    def ready() -> None:
        answering = begun.model_copy(update={"started": datetime.now(UTC)})
        write_atomically(file, answering.model_dump_json(indent=2) + "\n")
        told = screen.read_text(encoding="utf-8") if screen.exists() else f"{begun.address}\n"
        sys.stdout.write(told)
        sys.stdout.flush()

    write_atomically(file, begun.model_dump_json(indent=2) + "\n")
    try:
        Supervisor(folder, listener, ready).run()
    finally:
        file.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
