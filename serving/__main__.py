"""One worker: ``python -m serving <settings file> [--fd N] [--supervised]``.

SIGTERM and Ctrl-C let the requests at work finish; the exit code is 0 then.
"""

from __future__ import annotations

import argparse
import logging
import math
import os
import signal
import socket
import sys
from pathlib import Path

from digits.contract import leash, switches

switches.apply()

import uvicorn  # noqa: E402  (the switches precede every library)

from digits.errors import DigitsError  # noqa: E402
from serving.app import create_app  # noqa: E402
from serving.call import App  # noqa: E402
from serving.listening import BACKLOG, address_of, listen  # noqa: E402
from serving.protocol import bounded  # noqa: E402
from serving.settings import Limits, Settings  # noqa: E402

PROXIES = "FORWARDED_ALLOW_IPS"  # uvicorn's own: addresses whose X-Forwarded-For is believed


def main() -> int:
    """Serve until a signal comes; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m serving", description=__doc__)
    parser.add_argument("settings", type=Path, help="JSON: serving.settings.Settings")
    parser.add_argument("--fd", type=int, help="listening socket that was opened already")
    parser.add_argument(leash.SWITCH, action="store_true", help="end when standard input ends")
    given = parser.parse_args()
    # uvicorn raises the signal once more when it has drained: this is what it meets.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    if given.supervised:
        leash.end_with_parent()
    try:
        settings = Settings.read(given.settings)
        if given.fd is None:
            listener = listen(settings.host, settings.port)
            sys.stderr.write(f"Serving at {address_of(listener)}\n")
        else:
            listener = socket.socket(fileno=given.fd)
        serve(settings, listener)
    except DigitsError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


def serve(settings: Settings, listener: socket.socket) -> None:
    """Answer at ``listener`` until SIGTERM or SIGINT, then let requests at work finish.

    Raises:
        RegistryError: there is no model that can be trusted.
    """
    logging.getLogger("uvicorn.error").addFilter(_short)
    uvicorn.Server(configured(create_app(settings), settings.limits)).run(sockets=[listener])


def configured(app: App, limits: Limits) -> uvicorn.Config:
    """Return how uvicorn is to run the service."""
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=bounded(limits),
        ws="none",
        access_log=False,
        log_config=None,
        log_level="warning",
        server_header=False,
        # A client must not choose the address that it is counted under: only named proxies may.
        proxy_headers=PROXIES in os.environ,
        backlog=BACKLOG,
        timeout_graceful_shutdown=math.ceil(limits.drain_seconds),
    )


def _short(record: logging.LogRecord) -> bool:
    """Of a start that an error of ours ended, leave what it says."""
    trace, _, told = record.getMessage().rpartition("\ndigits.errors.")
    if trace:
        record.msg, record.args = told.strip(), None
    return True


if __name__ == "__main__":
    sys.exit(main())
