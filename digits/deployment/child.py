"""A process that is started again whenever it ends, later each time it ends soon."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

from digits.contract import leash

log = logging.getLogger("digits.supervisor")

PYTHON = (sys.executable, "-P")  # -P: no module of the folder where the command was typed
STEADY_SECONDS = 5.0  # who has run that long did not fail to start
FIRST_WAIT = 0.1
LONGEST_WAIT = 30.0
DOUBLINGS = 16  # more would soon be no number


class Child:
    """A module of ours in a process of its own, which ends when this one does.

    Args:
        arguments: of ``python -m``; the whole command of a program that is not our ``own``, which
            does not notice when this process is killed.
        environment: of the process.
        descriptors: that it inherits.
        own: whether it is a module of ours.

    Attributes:
        failures: how often it has ended soon after its start, in succession.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        descriptors: Sequence[int] = (),
        own: bool = True,
    ) -> None:
        self.failures = 0
        self._command = [*PYTHON, "-m", *arguments, leash.SWITCH] if own else list(arguments)
        self._environment = dict(environment)
        self._descriptors = tuple(descriptors)
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._not_before = 0.0

    @property
    def pid(self) -> int | None:
        """Number of the process; None while there is none."""
        return self._process.pid if self._process else None

    @property
    def is_steady(self) -> bool:
        """Whether it has been running for a while."""
        return self._process is not None and time.monotonic() - self._started > STEADY_SECONDS

    def start_if_due(self) -> None:
        """Start it, unless it runs or has to wait."""
        if self._process is not None or time.monotonic() < self._not_before:
            return
        self._started = time.monotonic()
        try:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,  # the leash
                env=self._environment,
                pass_fds=self._descriptors,
                process_group=0,  # Ctrl-C goes to the supervisor alone, which ends the others
            )
        except OSError as error:  # no memory, no process left: perhaps later
            self._wait_longer()
            log.warning("No process can be started: %s. It is tried again.", error)

    def ended(self) -> int | None:
        """Return the exit code of a process that has ended since the last call, else None."""
        if self._process is None or (code := self._process.poll()) is None:
            return None
        if self.is_steady:
            self.failures = 0
        else:
            self._wait_longer()
        self._forget(self._process)
        return code

    def _wait_longer(self) -> None:
        self.failures += 1
        wait = min(FIRST_WAIT * 2.0 ** min(self.failures - 1, DOUBLINGS), LONGEST_WAIT)
        self._not_before = time.monotonic() + wait

    def terminate(self) -> None:
        """Ask it to end."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)

    def wait(self, until: float) -> bool:
        """Wait for its end until ``until`` (``time.monotonic()``), then kill it; True if killed."""
        process = self._process
        if process is None:
            return False
        try:
            process.wait(max(0.0, until - time.monotonic()))
            return False
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return True
        finally:
            self._forget(process)

    def _forget(self, process: subprocess.Popen[bytes]) -> None:
        if process.stdin is not None:
            process.stdin.close()
        self._process = None
