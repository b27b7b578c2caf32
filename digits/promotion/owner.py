"""Who is at work: a process that others can tell apart, and tell dead from alive."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

import psutil

BOOT = Path("/proc/sys/kernel/random/boot_id")
PROCESSES = Path("/proc/self/ns/pid")


@dataclass(frozen=True)
class Owner:
    """A process.

    Attributes:
        host: the machine as others know it.
        place: what process numbers are unique in: this start of the machine and, in a container,
            the container.
        pid: its number.
        started: when, in ticks since the machine did or seconds since 1970; numbers are given
            again.
    """

    host: str
    place: str
    pid: int
    started: float

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"

    def is_dead(self) -> bool | None:
        """Tell whether it has ended; None where that cannot be known from here."""
        if self.place != _place():
            return None
        try:
            ended = psutil.Process(self.pid).status() == psutil.STATUS_ZOMBIE
            return ended or _started(self.pid) != self.started
        except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
            return True
        except psutil.AccessDenied:
            return False


def myself() -> Owner:
    """Return the present process."""
    return Owner(socket.gethostname(), _place(), os.getpid(), _started(os.getpid()))


def _started(pid: int) -> float:
    kernel = Path(f"/proc/{pid}/stat")
    if not kernel.parent.parent.joinpath("stat").is_file():
        return float(psutil.Process(pid).create_time())
    # Field 22 counts from the start of the machine: setting its clock changes nothing.
    return float(kernel.read_text(encoding="utf-8").rpartition(")")[2].split()[19])


def _place() -> str:
    # Containers of one host, or hosts of one name, must not take each other's numbers for theirs.
    boot = BOOT.read_text(encoding="ascii").strip() if BOOT.is_file() else ""
    space = PROCESSES.readlink().name if PROCESSES.is_symlink() else ""
    return "/".join((socket.gethostname(), boot, space))
