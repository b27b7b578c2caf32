"""The places that a bundle is deployed to in a benchmark: started from nothing, asked, ended."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from digits.contract.manifest import MANIFEST, ONNX, sha256_of
from digits.contract.pointer import Pointed, Pointer
from digits.deployment.engine import Engine
from digits.deployment.resolve import Watch
from digits.deployment.target import Order
from digits.deployment.torchserve import process as torchserve
from digits.deployment.torchserve.target import TorchServe
from scripts.benchmarks._results import ROOT
from scripts.benchmarks._serving_process import free_port
from serving.settings import Settings

INVOKE = "/2015-03-31/functions/function/invocations"
HARDENED = (
    "--read-only", "--tmpfs=/tmp:size=64m", "--cap-drop=ALL", "--security-opt=no-new-privileges",
    "--pids-limit=128", "--memory=1g", "--network=host",
)  # fmt: skip


@dataclass(frozen=True)
class Running:
    """What answers.

    Attributes:
        address: that the input is sent to.
        headers: that go along.
        processes: those whose time counts.
    """

    address: str
    headers: Mapping[str, str]
    processes: Callable[[], list[psutil.Process]]


Start = Callable[[Path], contextlib.AbstractContextManager[Running]]
JSON = {"Content-Type": "application/json"}


@contextlib.contextmanager
def local(bundle: Path) -> Iterator[Running]:
    """The service as a process of this machine."""
    port = free_port()
    settings = Settings(pointer=bundle, port=port)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "settings.json"
        file.write_text(settings.model_dump_json(), encoding="utf-8")
        with _process([sys.executable, "-m", "serving", str(file)], {}) as found:
            yield Running(f"http://127.0.0.1:{port}/v1/predict", JSON, found)


@contextlib.contextmanager
def function(bundle: Path) -> Iterator[Running]:
    """The handler under AWS's emulator, on this machine without a container."""
    port, api = free_port(), free_port()
    runtime = [sys.executable, "-m", "awslambdaric", "serving.aws_lambda.handler"]
    with _process([*_emulator(port, api), *runtime], {"DIGITS_MODEL": str(bundle)}) as found:
        yield Running(f"http://127.0.0.1:{port}{INVOKE}", JSON, found)


def container(target: str) -> Start:
    """Return how the image ``digits-<target>`` is started: hardened, the bundle mounted."""

    @contextlib.contextmanager
    def start(bundle: Path) -> Iterator[Running]:
        port = free_port()
        options = [*HARDENED, f"--volume={bundle}:/opt/ml/model:ro"]
        if target == "lambda":
            emulator, *given = _emulator(port, free_port())
            options += [f"--volume={emulator}:/emulator:ro", "--entrypoint=/emulator"]
            command = [*given, "python", "-m", "awslambdaric", "serving.aws_lambda.handler"]
            path = INVOKE
        elif target == "sagemaker":
            options, command, path = (
                [*options, f"--env=SAGEMAKER_BIND_TO_PORT={port}"],
                ["serve"],
                "/invocations",
            )
        else:
            options, command, path = (
                [*options, f"--env=DIGITS_SERVING_PORT={port}"],
                [],
                "/v1/predict",
            )
        engine, name = Engine.find(), f"digits-bench-{uuid.uuid4().hex[:12]}"
        engine.run("run", "--detach", f"--name={name}", *options, f"digits-{target}", *command)
        try:
            first = engine.inspect("container", name)
            assert first is not None
            main = psutil.Process(first["State"]["Pid"])
            yield Running(f"http://127.0.0.1:{port}{path}", JSON, lambda: _with_children(main))
        finally:
            engine.run("rm", "--force", name)

    return start


@contextlib.contextmanager
def torchserve_here(bundle: Path) -> Iterator[Running]:
    """TorchServe with one worker, through the target itself."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "torchserve"
        target = TorchServe(folder=str(place), management_port=0)
        target.apply(_order(bundle, place, free_port()))
        try:
            token = json.loads((place / "key_file.json").read_bytes())["inference"]["key"]
            headers = {**JSON, "Authorization": f"Bearer {token}"}
            address = target.status().address
            yield Running(address, headers, lambda: torchserve.processes(place))
        finally:
            target.destroy()


#: name -> (how it is started, its image)
PLACES: dict[str, tuple[Start, str | None]] = {
    "local": (local, None),
    "docker": (container("service"), "digits-service"),
    "sagemaker container": (container("sagemaker"), "digits-sagemaker"),
    "lambda, emulated": (function, None),
    "lambda container, emulated": (container("lambda"), "digits-lambda"),
    "torchserve": (torchserve_here, None),
}


def image_megabytes(image: str) -> tuple[float, float]:
    """Return the size of an image, and that above its base, in MB."""
    engine = Engine.find()
    found, base = engine.inspect("image", image), engine.inspect("image", _base())
    if found is None:
        sys.exit(f"there is no image {image}: scripts/image service sagemaker lambda")
    size = found["Size"] / 1e6
    return size, size - (base["Size"] / 1e6 if base else float("nan"))


def ask(running: Running, body: bytes) -> dict[str, Any]:
    """Send the input once, on a connection of its own."""
    request = urllib.request.Request(running.address, body, dict(running.headers))
    with urllib.request.urlopen(request, timeout=30) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def _base() -> str:
    return os.environ.get("BASE_IMAGE", "digits-base:bookworm")


def _emulator(port: int, api: int) -> list[str]:
    done = subprocess.run([ROOT / "scripts/emulator"], capture_output=True, text=True, check=True)
    addresses = {"interface-emulator": port, "api": api}
    given = [f"--runtime-{name}-address=127.0.0.1:{at}" for name, at in addresses.items()]
    return [done.stdout.strip(), *given]


@contextlib.contextmanager
def _process(
    command: list[str], environment: Mapping[str, str]
) -> Iterator[Callable[[], list[psutil.Process]]]:
    own = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **environment}
    started = subprocess.Popen(
        command, env=own, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield lambda: _with_children(psutil.Process(started.pid))
    finally:
        for each in _with_children(psutil.Process(started.pid)):
            each.kill()
        started.wait()


def _with_children(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def _order(bundle: Path, place: Path, port: int) -> Order:
    pointer = place / "pointer.json"
    model = Pointed(
        name="digits",
        number=1,
        folder=bundle,
        onnx_sha256=sha256_of(bundle / ONNX),
        manifest_sha256=sha256_of(bundle / MANIFEST),
    )
    watch = Watch(pointer=pointer, tracking_uri="sqlite:///none", version="1", cache=place)
    return Order(Settings(pointer=pointer, port=port), watch, Pointer(champion=model))


def has(name: str) -> str | None:
    """Return what is missing for a place; None: nothing."""
    if name == "torchserve" and shutil.which("java") is None:
        return "Java"
    return None
