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
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
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


class Measured(NamedTuple):
    """What a start and an answer take.

    Attributes:
        cold_seconds: from starting the emulator to the first answer.
        warm_seconds: of each further answer, sorted.
        cold_cpu_seconds: that the function's process has used until the first answer.
        cpu_seconds: that it has used for each further one.
        rss_mb: memory of that process after the last.
    """

    cold_seconds: float
    warm_seconds: list[float]
    cold_cpu_seconds: float
    cpu_seconds: float
    rss_mb: float

    def percentile(self, share: float) -> float:
        """Return the seconds that this share of the warm answers took at most."""
        return self.warm_seconds[
            min(int(share * len(self.warm_seconds)), len(self.warm_seconds) - 1)
        ]


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


def measure_zip(folder: Path, event: Mapping[str, Any], *, times: int = 200) -> Measured:
    """Start an unzipped function once and ask it ``times`` times more.

    Raises:
        AssertionError: it does not answer 200.
    """
    emulator()  # is fetched before the clock starts
    return _measured(lambda: managed(folder, {}, log=Path(os.devnull)), event, times)


def measure_image(
    docker: str, name: str, event: Mapping[str, Any], *, times: int = 200
) -> Measured:
    """Measure as :func:`measure_zip` does an image, Docker's own start included."""
    emulator()
    return _measured(lambda: image(docker, name, {}), event, times)


def _measured(
    start: Callable[[], AbstractContextManager[Emulated]], event: Mapping[str, Any], times: int
) -> Measured:
    payload = json.dumps(event).encode()
    others = _processes()
    began = time.perf_counter()
    with start() as function:
        answer = json.loads(function.first(payload))
        cold = time.perf_counter() - began
        assert answer.get("statusCode") == 200, answer
        (process,) = _processes() - others
        cold_cpu, warm = _cpu_seconds(process), []
        for _ in range(times):
            asked = time.perf_counter()
            function.invoke(payload)
            warm.append(time.perf_counter() - asked)
        cpu = (_cpu_seconds(process) - cold_cpu) / times
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
        rss = pages * os.sysconf("SC_PAGE_SIZE") / 1e6
        return Measured(cold, sorted(warm), cold_cpu, cpu, rss)


def _processes() -> set[int]:
    """Return the processes that run a function: those of Docker are seen too."""
    found = set()
    for each in Path("/proc").glob("[0-9]*"):
        try:
            words = (each / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"awslambdaric" in words[:4] and b"python" in words[0]:
            found.add(int(each.name))
    return found


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
