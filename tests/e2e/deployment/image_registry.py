"""A registry of images on this machine, Debian's docker-registry: where ECR keeps its images."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from digits.deployment.engine import Engine
from digits.errors import DeploymentError

START_SECONDS = 20
CONFIG = """\
version: 0.1
storage:
  filesystem:
    rootdirectory: {folder}
http:
  addr: 127.0.0.1:{port}
"""


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """Start an empty registry and give its ``host:port``."""
    program = shutil.which("docker-registry")
    if program is None:
        lacking("docker-registry is not installed: scripts/services does it")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = folder / "config.yml"
    config.write_text(CONFIG.format(folder=folder, port=port))
    command = [str(program), "serve", str(config)]
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(command, stdout=log, stderr=log) as process,
    ):
        try:
            _wait(port, process)
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()


def engine_with(image: str) -> Engine:
    """Return this machine's Docker engine, which has ``image``; the test is skipped without."""
    try:
        engine = Engine.find()
    except DeploymentError as error:
        lacking(str(error))
    if engine.image_id(image) is None:
        lacking(f"there is no image {image}: scripts/image makes it")
    return engine


def lacking(told: str) -> None:
    """Skip the test; where all that it needs has to be there, fail."""
    if os.environ.get("DIGITS_REQUIRE_SERVICES") == "1":
        pytest.fail(told)
    pytest.skip(told)


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < end:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/", timeout=5).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("docker-registry does not start")
