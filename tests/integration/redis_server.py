"""A private Redis for a test session: its own folder, port and process."""

from __future__ import annotations

import shutil
import socket
import subprocess
from itertools import count
from pathlib import Path

import pytest
import redis

DATABASES = 16
PATIENCE = 10.0


class Redis:
    """A server that keeps nothing on the disk."""

    def __init__(self, folder: Path) -> None:
        found = shutil.which("redis-server")
        if found is None:
            pytest.skip("Redis is not installed (scripts/services)")
        self._program = found
        self._folder = folder
        self._numbers = count()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

    def start(self) -> None:
        settings = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        self._process = subprocess.Popen(
            [self._program, *settings, "--dir", str(self._folder)], stdout=subprocess.DEVNULL
        )
        retry = redis.retry.Retry(redis.backoff.ConstantBackoff(0.05), int(PATIENCE / 0.05))
        with redis.Redis(port=self.port, retry=retry) as client:
            client.ping()

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE)

    def database(self) -> str:
        """Empty one of the databases and return its address."""
        number = next(self._numbers) % DATABASES
        with redis.Redis(port=self.port, db=number) as client:
            client.flushdb()
        return f"redis://127.0.0.1:{self.port}/{number}"
