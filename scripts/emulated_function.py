"""A function as AWS Lambda runs it, here: AWS's own emulator and runtime client around it.

A zip file runs as under a managed runtime: Python without any library but the runtime client, and
the unzipped folder. An image runs as Docker has it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
HANDLER = "serving.aws_lambda.handler"
CLIENT = ("awslambdaric", "runtime_client", "simplejson", "snapshot_restore_py")
INVOKE = "/2015-03-31/functions/function/invocations"
START_SECONDS = 60.0
ANSWER_SECONDS = 30.0


class Emulated:
    """A function that can be invoked.

    Args:
        address: of the emulator.
    """

    def __init__(self, address: str) -> None:
        self._url = f"http://{address}{INVOKE}"

    def invoke(self, payload: bytes) -> bytes:
        """Send an event and return what the function answers, as JSON both."""
        request = urllib.request.Request(self._url, payload)
        with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as found:
            answer: bytes = found.read()
        return answer

    def first(self, payload: bytes, *, seconds: float = START_SECONDS) -> bytes:
        """Invoke a function whose emulator is still starting."""
        end = time.monotonic() + seconds
        while True:
            try:
                return self.invoke(payload)
            except (urllib.error.URLError, ConnectionError):
                if time.monotonic() > end:
                    raise
            time.sleep(0.002)


class Cold(NamedTuple):
    """What a start takes.

    Attributes:
        first_seconds: from starting the emulator to the first answer.
        warm_seconds: of the middle one of further answers.
        cpu_seconds: that the function's process has used until the first answer.
        rss_mb: memory of that process after the last.
    """

    first_seconds: float
    warm_seconds: float
    cpu_seconds: float
    rss_mb: float


@cache
def emulator() -> Path:
    """Return AWS's emulator, fetched where it is not here.

    Raises:
        CalledProcessError: it cannot be had.
    """
    found = subprocess.run(
        [str(ROOT / "scripts" / "emulator")],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    return Path(found.stdout.strip())


def unzip(archive: Path, folder: Path) -> None:
    """Unzip a function's file as Lambda does."""
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(folder)


@contextmanager
def managed(folder: Path, variables: Mapping[str, str], *, log: Path) -> Iterator[Emulated]:
    """Run an unzipped function as a managed runtime does; ``log`` gets what it says."""
    with tempfile.TemporaryDirectory(prefix="digits-runtime-") as client:
        for name in CLIENT:
            _link(name, Path(client))
        environment = {
            "PATH": os.defpath,
            "PYTHONPATH": f"{folder}:{client}",
            "LAMBDA_TASK_ROOT": str(folder),
            "PYTHONDONTWRITEBYTECODE": "1",
            **variables,
        }
        addresses = [f"127.0.0.1:{port}" for port in _free_ports(2)]
        command = [str(emulator()), "--runtime-interface-emulator-address", addresses[0]]
        command += ["--runtime-api-address", addresses[1]]
        # Without site-packages: what the zip file lacks is not found elsewhere.
        command += [getattr(sys, "_base_executable", sys.executable), "-S", "-m", "awslambdaric"]
        with (
            log.open("ab") as out,
            subprocess.Popen(
                [*command, HANDLER], env=environment, cwd=folder, stdout=out, stderr=out
            ) as process,
        ):
            try:
                yield Emulated(addresses[0])
            finally:
                process.send_signal(signal.SIGTERM)


@contextmanager
def image(
    docker: str, name: str, variables: Mapping[str, str], *, further: tuple[str, ...] = ()
) -> Iterator[Emulated]:
    """Run an image of ``scripts/image lambda`` in Docker, as Lambda restricts it."""
    (port,) = _free_ports(1)
    command = [docker, "run", "--rm", "--detach", "--read-only", "--tmpfs", "/tmp:size=64m"]
    command += ["--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
    command += ["--publish", f"127.0.0.1:{port}:8080", "--volume", f"{emulator()}:/rie:ro"]
    command += [f"--env={key}={value}" for key, value in variables.items()]
    command += ["--entrypoint", "/rie", *further, name, "python", "-m", "awslambdaric", HANDLER]
    started = subprocess.run(command, capture_output=True, text=True, check=True)
    try:
        yield Emulated(f"127.0.0.1:{port}")
    finally:
        subprocess.run([docker, "kill", started.stdout.strip()], capture_output=True, check=False)


def measure(folder: Path, event: Mapping[str, Any], *, times: int = 200) -> Cold:
    """Start an unzipped function once and ask it ``times`` times more.

    Raises:
        AssertionError: it does not answer 200.
    """
    payload = json.dumps(event).encode()
    emulator()  # is fetched before the clock starts
    began = time.perf_counter()
    with managed(folder, {}, log=Path(os.devnull)) as function:
        answer = json.loads(function.first(payload))
        first = time.perf_counter() - began
        assert answer.get("statusCode") == 200, answer
        process = _process_of(folder)
        cpu = _cpu_seconds(process)
        warm = []
        for _ in range(times):
            asked = time.perf_counter()
            function.invoke(payload)
            warm.append(time.perf_counter() - asked)
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
        return Cold(
            first, sorted(warm)[len(warm) // 2], cpu, pages * os.sysconf("SC_PAGE_SIZE") / 1e6
        )


def _process_of(folder: Path) -> int:
    """Return the process that the emulator has started for the function."""
    for each in Path("/proc").glob("[0-9]*"):
        try:
            is_ours = (each / "cwd").resolve() == folder.resolve()
            if is_ours and b"awslambdaric" in (each / "cmdline").read_bytes().split(b"\0")[:4]:
                return int(each.name)
        except OSError:
            continue
    raise AssertionError("the function has no process")


def _cpu_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _link(name: str, folder: Path) -> None:
    """Put an installed package, or a compiled module, into a folder of its own."""
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:
        raise ModuleNotFoundError(f"{name} is not installed: scripts/bootstrap dev")
    place = Path(found.origin)
    place = place.parent if found.submodule_search_locations else place
    (folder / place.name).symlink_to(place)


def _free_ports(count: int) -> list[int]:
    """Return different ports that nobody listens at."""
    with ExitStack() as held:
        free = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in free:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in free]
