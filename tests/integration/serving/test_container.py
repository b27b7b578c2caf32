"""The first process of a container, run as itself: one worker, several, and their end."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from serving import health

SECONDS = 60.0


@contextmanager
def container(bundle: Path, folder: Path, **variables: str) -> Iterator[tuple]:
    """Start it with these variables; give the process and the port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    told = {
        "DIGITS_MODEL": str(bundle),
        "DIGITS_MODEL_VERSION": "digits/5",
        "DIGITS_SERVING_HOST": "127.0.0.1",
        "DIGITS_SERVING_PORT": str(port),
        "TMPDIR": str(folder),
        **variables,
    }
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "serving.container"],
        env={**os.environ, **told},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process, port
    finally:
        process.kill()
        process.communicate()


def until_ready(process: subprocess.Popen, port: int) -> dict:
    end = time.monotonic() + SECONDS
    while True:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/v1/model")
            answer = connection.getresponse()
            if answer.status == 200:
                return json.loads(answer.read())
        except OSError:
            time.sleep(0.05)
        finally:
            connection.close()


def children(process: subprocess.Popen) -> list[int]:
    return [
        int(each)
        for each in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    ]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_it_answers_is_healthy_and_ends_in_peace(workers, bundle, tmp_path, monkeypatch):
    with container(bundle, tmp_path, DIGITS_SERVING_WORKERS=workers) as (process, port):
        found = until_ready(process, port)
        assert (found["version"], found["deployment"]) == ("digits/5", "container")
        assert len(children(process)) == (0 if workers == "1" else 2)
        monkeypatch.setenv(health.PORT, str(port))
        assert health.main() == 0
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 0
        assert health.main() == 1
    assert list(tmp_path.iterdir()) == []


def test_a_worker_that_dies_ends_them_all(bundle, tmp_path):
    with container(bundle, tmp_path, DIGITS_SERVING_WORKERS="2") as (process, port):
        until_ready(process, port)
        os.kill(children(process)[0], signal.SIGKILL)
        assert process.wait(SECONDS) == 1


@pytest.mark.parametrize(
    ("name", "value", "code", "told"),
    [
        ("DIGITS_MODEL", "/nowhere", 1, "/nowhere"),
        ("DIGITS_MODEL_SHA256", "0" * 64, 3, "was registered"),
        ("DIGITS_MODEL_MANIFEST_SHA256", "0" * 64, 3, "was registered"),
        ("DIGITS_SERVING_PORT", "none", 2, "serving.port"),
    ],
)
def test_what_is_wrong_is_said_in_one_message(name, value, code, told, bundle, tmp_path):
    with container(bundle, tmp_path, **{name: value}) as (process, _):
        _, said = process.communicate(timeout=SECONDS)
        assert process.returncode == code
    assert told in said and "Traceback" not in said
