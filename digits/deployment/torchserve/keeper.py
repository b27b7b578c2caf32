"""Keeps TorchServe up: ``python -m digits.deployment.torchserve.keeper <folder>``.

SIGTERM lets requests at work finish and ends it; a server that dies is started again, from
``config.properties``, which always names the version that is out.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType

from filelock import FileLock, Timeout

from digits.contract import switches
from digits.deployment.child import Child
from digits.deployment.log_file import keep_short
from digits.deployment.service import LOCK, LOOKED_AT_SECONDS

log = logging.getLogger("digits.torchserve")

COMMAND = "command.json"  # in the folder: what is run, with its environment
ANSWERED = "answered"  # is there once its workers have answered
LOG = "service.log"
END_SECONDS = 30.0  # TorchServe lets requests finish by itself
TICK_SECONDS = 0.2


def main() -> int:
    """Keep the server up until a signal comes; return the exit code."""
    switches.apply()
    folder = Path(sys.argv[1])
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    try:
        with FileLock(folder / LOCK, timeout=LOOKED_AT_SECONDS):
            return keep(folder)
    except Timeout:
        sys.stderr.write(f"{folder}: this server is running already\n")
        return 1


def keep(folder: Path) -> int:
    """Run what the folder's command says until a signal comes; return the exit code."""
    ending = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        ending.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    given = json.loads((folder / COMMAND).read_bytes())
    server = Child(given["command"], environment={**os.environ, **given["environment"]}, own=False)
    while not ending.wait(TICK_SECONDS):
        code = server.ended()
        if code is not None and not (folder / ANSWERED).exists():
            log.error("TorchServe ended with %d before it answered; it says why above.", code)
            return 1
        if code is not None:
            log.warning("TorchServe ended with %d; it is started again.", code)
        server.start_if_due()
        keep_short(folder / LOG)
    server.terminate()
    if server.pid is not None and server.wait(time.monotonic() + END_SECONDS):
        log.warning("Killed TorchServe, which did not end.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
