"""A child process that ends with its parent, even where the parent was killed."""

from __future__ import annotations

import os
import signal
import sys
import threading

SWITCH = "--supervised"
VARIABLE = "DIGITS_SUPERVISED"  # the same, for a command that has no such switch


def end_with_parent() -> None:
    """Send this process SIGTERM when standard input ends: the parent holds its other end.

    The kernel closes that end whichever way the parent goes.
    """
    threading.Thread(target=_wait, args=(sys.stdin.fileno(),), daemon=True, name="leash").start()


def heed_variable() -> None:
    """Do so if the environment says so; processes that this one starts are not told."""
    if os.environ.pop(VARIABLE, None):
        end_with_parent()


def _wait(descriptor: int) -> None:
    while os.read(descriptor, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
