"""A server under test: all its processes on one core, their time, their memory and their end."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SERVER_CORE, GENERATOR_CORE = 0, 1
START_SECONDS = 120
END_SECONDS = 8  # for a server to end by itself
PR_SET_CHILD_SUBREAPER = 36  # <linux/prctl.h>
TICK = os.sysconf("SC_CLK_TCK")


class FailedError(Exception):
    """A server does not start, or does not answer as it should; says why."""


@dataclass(frozen=True, slots=True)
class Launch:
    """How a server is started.

    Attributes:
        command: the program and its arguments.
        environment: on top of this process's.
        folder: where it runs.
    """

    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path


def prepare_machine() -> None:
    """Leave the server's core, and become the parent of whatever a server leaves behind."""
    if sys.platform != "linux" or len(os.sched_getaffinity(0)) < 2:
        sys.exit("this needs Linux and two cores: one for the server, one for the load")
    os.sched_setaffinity(0, {GENERATOR_CORE})
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Process:
    """A running server: every process below this one, as only one server runs at a time.

    Attributes:
        start_seconds: from the start of its process to its first right answer.
    """

    def __init__(self, start_seconds: float) -> None:
        self.start_seconds = start_seconds

    def cpu_seconds(self) -> float:
        """Return the time that all of it has spent on a core, in user and kernel mode."""
        return sum(_cpu_ticks(pid) for pid in _descendants()) / TICK

    def rss_bytes(self) -> int:
        """Return the resident memory of all of it; shared pages count in each process."""
        return sum(_rss_bytes(pid) for pid in _descendants())


@contextlib.contextmanager
def running(launch: Launch, is_ready: Callable[[], bool], log: Path) -> Iterator[Process]:
    """Start a server on its core, wait until it is ready, and end all of it.

    Args:
        launch: how it is started.
        is_ready: whether it gives the right answer; OSError means not yet.
        log: file of all that it writes.

    Raises:
        FailedError: it ends, or is not ready in time; with the end of its log.
    """
    command = ["taskset", "--cpu-list", str(SERVER_CORE), *launch.command]
    environment = {**os.environ, **launch.environment}
    begin = time.perf_counter()
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command, cwd=launch.folder, env=environment, stdout=stream, stderr=stream
        )
    try:
        while not _answers(is_ready):
            if process.poll() is not None or time.perf_counter() - begin > START_SECONDS:
                tail = log.read_text(errors="replace")[-1500:]
                raise FailedError(f"does not get ready; its log ends with\n{tail}")
            time.sleep(0.005)
        yield Process(time.perf_counter() - begin)
    finally:
        _end(process)


def _answers(is_ready: Callable[[], bool]) -> bool:
    try:
        return is_ready()
    except OSError:
        return False


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the server in order, then whatever is left of it by force."""
    process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(END_SECONDS)
    while left := _descendants():
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.poll()
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.01)


def _descendants() -> list[int]:
    """Return the processes below this one."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int(_stat(int(folder.name))[1])
            children.setdefault(parent, []).append(int(folder.name))
    found = children.get(os.getpid(), [])[:]
    for pid in found:  # grows while it is walked
        found += children.get(pid, [])
    return found


def _stat(pid: int) -> list[str]:
    """Return the fields of ``/proc/PID/stat`` from the third on (the second may hold blanks)."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _cpu_ticks(pid: int) -> int:
    with contextlib.suppress(OSError):
        return sum(map(int, _stat(pid)[11:15]))  # own and of children that have ended
    return 0


def _rss_bytes(pid: int) -> int:
    with contextlib.suppress(OSError):
        return int(_stat(pid)[21]) * os.sysconf("SC_PAGE_SIZE")
    return 0
