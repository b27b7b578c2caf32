"""Ctrl-C and SIGTERM: both leave by the ordinary way, so that every open run is closed."""

from __future__ import annotations

import signal
import threading
from types import FrameType

INTERRUPTED = 130  # what shells use for a process ended by Ctrl-C
TERMINATED = 143  # and by SIGTERM

_received: list[int] = []


def heed_sigterm() -> None:
    """Have SIGTERM raise SystemExit(143); only the main thread may ask for that."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _terminate)


def _terminate(number: int, frame: FrameType | None) -> None:
    _received.append(number)
    raise SystemExit(TERMINATED)


def exit_code(code: object) -> object:
    """Return the code to leave with: Ray makes a 1 of a SystemExit that passes through it."""
    return TERMINATED if _received else code


def status_of(code: object) -> str:
    """Return what an exit code says of a run: FINISHED, FAILED, or KILLED (by a signal)."""
    if code in (None, 0):
        return "FINISHED"
    return "KILLED" if code in (INTERRUPTED, TERMINATED) else "FAILED"
