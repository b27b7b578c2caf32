"""Keeps the service up: one listening socket, workers that share it, the watcher beside them.

It loads neither torch nor MLflow nor ONNX Runtime.
"""

from __future__ import annotations

import http.client
import logging
import os
import select
import shutil
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from digits.deployment.child import Child
from digits.deployment.log_file import keep_short
from digits.errors import DigitsError
from serving.listening import reachable
from serving.settings import Settings

log = logging.getLogger("digits.supervisor")

SETTINGS, POINTER, WATCH = "settings.json", "pointer.json", "watch.json"
LOG = "service.log"  # of a service in the background
METRICS = "metrics"  # what several workers count together
FAST_FAILURES = 5  # of workers before any has answered, or of one alone: then none ever will
KILL_SECONDS = 5.0  # that a worker has after its time to drain
PROBE_SECONDS = 0.05
ANSWER_SECONDS = 0.5
TICK_SECONDS = 1.0
RENEW = signal.SIGUSR1  # not SIGHUP: a terminal that closes ends what runs in it
ENDING = (signal.SIGTERM, signal.SIGINT)


class StartError(DigitsError):
    """The workers end again and again before they answer."""


class Supervisor:
    """Runs what a service folder describes, until a signal comes.

    At ``RENEW`` it reads anew what is to be followed.

    Args:
        folder: holds the files of settings, pointer and, where something is followed, watch.
        listener: listening socket that the workers share.
        ready: called once, when the first request would be answered.
    """

    def __init__(self, folder: Path, listener: socket.socket, ready: Callable[[], None]) -> None:
        self.settings = Settings.read(folder / SETTINGS)
        self._listener = listener
        self._ready: Callable[[], None] | None = ready
        self._metrics = folder / METRICS if self.settings.workers > 1 else None
        self._signals = 0
        self._deaths = 0  # before the first answer
        self._log = folder / LOG
        self._watch = folder / WATCH
        self._watcher: Child | None = None
        self._is_new = True  # what is to be followed
        environment = dict(os.environ)
        if self._metrics:
            environment["PROMETHEUS_MULTIPROC_DIR"] = str(self._metrics)
        descriptor = listener.fileno()
        self._workers = [
            Child(
                ["serving", str(folder / SETTINGS), "--fd", str(descriptor)],
                environment=environment,
                descriptors=[descriptor],
            )
            for _ in range(self.settings.workers)
        ]

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT, then let every worker finish what it has begun.

        Raises:
            StartError: no worker comes up.
        """
        if self._metrics:
            shutil.rmtree(self._metrics, ignore_errors=True)
            self._metrics.mkdir()
        awake, alarm = socket.socketpair()
        for end in (awake, alarm):
            end.setblocking(False)
        signal.set_wakeup_fd(alarm.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # ignored signals wake nobody
        signal.signal(RENEW, self._renew)
        before = {number: signal.signal(number, self._note) for number in ENDING}
        try:
            while not self._signals:
                self._tend()
                select.select([awake], [], [], PROBE_SECONDS if self._ready else TICK_SECONDS)
                _drain(awake)
        finally:
            self._end()
            signal.set_wakeup_fd(-1)
            for number, handler in before.items():
                signal.signal(number, handler)
            awake.close()
            alarm.close()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1

    def _renew(self, number: int, frame: FrameType | None) -> None:
        self._is_new = True

    def _tend(self) -> None:
        """Start what is to run and does not."""
        for worker in self._workers:
            pid = worker.pid
            code = worker.ended()
            if code is not None:
                self._take_note(worker, pid, code)
            worker.start_if_due()
        self._tend_watcher()
        keep_short(self._log)
        if self._ready is not None and is_ready(self._listener):
            self._ready()
            self._ready = None

    def _tend_watcher(self) -> None:
        """Follow what the watch file says now; after ``RENEW`` it may be another."""
        if self._is_new:
            self._is_new = False
            if self._watcher is not None:
                self._watcher.terminate()
                self._watcher.wait(time.monotonic() + KILL_SECONDS)
            command = ["digits.deployment.watcher", str(self._watch)]
            self._watcher = Child(command, environment=os.environ) if self._watch.exists() else None
        if self._watcher is None:
            return
        code = self._watcher.ended()
        if code == 0:
            self._watcher = None  # nothing that can change
        else:
            if code is not None:
                log.warning("The watcher ended with %d; it is started again.", code)
            self._watcher.start_if_due()

    def _take_note(self, worker: Child, pid: int | None, code: int) -> None:
        if self._metrics and pid is not None:
            from prometheus_client.multiprocess import mark_process_dead

            mark_process_dead(pid, str(self._metrics))
        self._deaths += self._ready is not None
        alone = not any(each.is_steady for each in self._workers)
        if self._deaths >= FAST_FAILURES or (worker.failures >= FAST_FAILURES and alone):
            raise StartError(
                f"The service cannot be kept up: its workers end as soon as they start, at last "
                f"with exit code {code}; they say why above."
            )
        log.warning("Worker %s ended with %d; it is started again.", pid, code)

    def _end(self) -> None:
        """Let all of them finish; kill who takes too long, or at a second signal."""
        self._listener.close()  # who connects now is told at once
        children = [*self._workers, *([self._watcher] if self._watcher else [])]
        for child in children:
            child.terminate()
        until = time.monotonic() + self.settings.limits.drain_seconds + KILL_SECONDS
        while self._signals < 2 and time.monotonic() < until:
            if all(child.pid is None or child.ended() is not None for child in children):
                break
            time.sleep(PROBE_SECONDS)
        killed = [child.wait(time.monotonic()) for child in children]
        if any(killed):
            log.warning("Killed what did not end.")
        if self._metrics:
            shutil.rmtree(self._metrics, ignore_errors=True)


def is_ready(listener: socket.socket) -> bool:
    """Ask the service itself; whichever worker is first answers."""
    host, port = reachable(listener)
    connection = http.client.HTTPConnection(host, port, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _drain(awake: socket.socket) -> None:
    try:
        while awake.recv(1024):
            pass
    except BlockingIOError:
        pass
