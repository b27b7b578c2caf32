"""Load from `wrk` on a core of its own, over the loopback only."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from scripts.benchmarks._serving_process import GENERATOR_CORE

SCRIPT = Path(__file__).parent / "serving_peers" / "load.lua"
ANSWER_SECONDS = 10  # an answer that takes longer is a failure


@dataclass(frozen=True, slots=True)
class Request:
    """A POST request.

    Attributes:
        path: with the query.
        body: of it.
        kind: its content type.
    """

    path: str
    body: bytes
    kind: str = "application/json"


@dataclass(frozen=True, slots=True)
class Load:
    """What a load has met.

    Attributes:
        requests: that were answered.
        seconds: that it lasted.
        p50_ms, p99_ms: percentiles of the time to an answer, in milliseconds.
        failed: answers other than 2xx or 3xx, and broken connections.
    """

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    failed: int


def check_generator() -> None:
    """End with what to install, unless it is there."""
    if shutil.which("wrk") is None:
        sys.exit("this needs the load generator wrk (Debian: apt-get install wrk)")


def post(port: int, request: Request) -> bytes:
    """Send one request and return the body of the answer.

    Raises:
        OSError: nobody listens, the connection broke, or the status is not 2xx.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
    try:
        connection.request("POST", request.path, request.body, {"Content-Type": request.kind})
        answer = connection.getresponse()
        body = answer.read()
    except http.client.HTTPException as error:
        raise OSError(f"{request.path}: {error!r}") from error
    finally:
        connection.close()
    if not 200 <= answer.status < 300:
        raise OSError(f"{request.path} answers {answer.status}: {body[:500]!r}")
    return body


def load(port: int, request: Request, *, connections: int, seconds: int) -> Load:
    """Send ``request`` over and over, each connection its next one when the last is answered.

    Args:
        port: of the server on this machine.
        request: the same every time.
        connections: requests at once.
        seconds: how long.
    """
    with tempfile.NamedTemporaryFile() as body:
        body.write(request.body)
        body.flush()
        environment = {**os.environ, "BODY": body.name, "KIND": request.kind}
        command = ["taskset", "--cpu-list", str(GENERATOR_CORE), "wrk", "--threads=1"]
        command += [f"--connections={connections}", f"--duration={seconds}s"]
        command += [f"--timeout={ANSWER_SECONDS}s", f"--script={SCRIPT}"]
        command += [f"http://127.0.0.1:{port}{request.path}"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return Load(**json.loads(done.stdout.splitlines()[-1]))
