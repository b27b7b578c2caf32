"""The servers that ours is held against: how each is installed, started and asked.

Each is set up as its documentation recommends for one worker; none phones home, none logs requests.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scripts.benchmarks._serving_environment import APPS, QUIET, installed, run_tool
from scripts.benchmarks._serving_load import Request, post
from scripts.benchmarks._serving_process import FailedError, Launch, Process, free_port, running

#: TorchServe writes several lines of each request otherwise
LOG4J = """<Configuration>
  <Appenders><Console name="console"/></Appenders>
  <Loggers><Root level="warn"><AppenderRef ref="console"/></Root></Loggers>
</Configuration>
"""

Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a peer is started.

    Attributes:
        network: the ONNX file.
        folder: of its own, for what it needs and leaves.
        port: that it has to listen at.
        bin: of its environment.
    """

    network: Path
    folder: Path
    port: int
    bin: Path


@dataclass(frozen=True, slots=True)
class Peer:
    """One server.

    Attributes:
        name: of its environment and its requirements.
        command: makes what it needs in the place's folder and returns how it is started.
        path: of its route.
        body: from the image uint8 ``[28, 28]`` to the body, JSON.
        digit: from the parsed answer to the digit.
        environment: further variables.
        is_framework: a serving framework, not an application.
    """

    name: str
    command: Callable[[Place], list[str]]
    path: str = "/predict"
    body: Callable[[Image], object] = lambda image: {"pixels": image.reshape(-1).tolist()}
    digit: Callable[[Mapping[str, object]], int] = lambda answer: int(str(answer["digit"]))
    environment: Mapping[str, str] = field(default_factory=dict)
    is_framework: bool = True

    def request(self, image: Image) -> Request:
        """Return what it is asked."""
        return Request(self.path, json.dumps(self.body(image), separators=(",", ":")).encode())

    def launch(self, place: Place) -> Launch:
        """Return how it is started; what takes time beforehand is done."""
        command = self.command(place)
        environment = {
            **QUIET,
            **self.environment,
            "PATH": f"{place.bin}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(APPS),
            "PEER_MODEL": str(place.network),
            "PEER_PORT": str(place.port),
            "TMPDIR": str(place.folder),
            "RAY_TMPDIR": str(place.folder),
            "BENTOML_HOME": str(place.folder / "bentoml"),
            "LOG_LOCATION": str(place.folder / "logs"),
            "METRICS_LOCATION": str(place.folder / "logs"),
        }
        return Launch(command, environment, place.folder)


def _script(name: str) -> Callable[[Place], list[str]]:
    return lambda place: [str(place.bin / "python"), str(APPS / name)]


def _bentoml(place: Place) -> list[str]:
    command = [str(place.bin / "bentoml"), "serve", "bentoml_app:Digits"]
    command += ["--host", "127.0.0.1", "--port", str(place.port)]
    return [*command, "--working-dir", str(APPS)]


def _mlserver(place: Place) -> list[str]:
    settings = {
        "debug": False,
        "parallel_workers": 0,  # the model in the server's own process: one worker
        "host": "127.0.0.1",
        "http_port": place.port,
        "grpc_port": free_port(),
        "metrics_port": free_port(),
    }
    model = {
        "name": "digits",
        "implementation": "mlserver_app.Digits",
        "parameters": {"uri": str(place.network)},
    }
    for name, content in (("settings", settings), ("model-settings", model)):
        (place.folder / f"{name}.json").write_text(json.dumps(content))
    return [str(place.bin / "mlserver"), "start", str(place.folder)]


def _mlserver_body(image: Image) -> object:
    shape, data = [1, 28, 28], image.reshape(-1).tolist()
    return {"inputs": [{"name": "pixels", "shape": shape, "datatype": "UINT8", "data": data}]}


def _mlflow(place: Place) -> list[str]:
    model = place.folder / "model"
    run_tool([str(place.bin / "python"), str(APPS / "mlflow_model.py"), place.network, model])
    command = [str(place.bin / "mlflow"), "models", "serve", "--model-uri", str(model)]
    command += ["--env-manager", "local", "--workers", "1", "--timeout", "60"]
    return [*command, "--host", "127.0.0.1", "--port", str(place.port)]


def _torchserve(place: Place) -> list[str]:
    if shutil.which("java") is None:
        raise FailedError("needs Java (Debian: apt-get install openjdk-17-jre-headless)")
    archive = [str(place.bin / "torch-model-archiver"), "--model-name", "digits", "--version", "1"]
    archive += ["--handler", str(APPS / "torchserve_handler.py")]
    archive += ["--extra-files", str(place.network), "--export-path", str(place.folder)]
    run_tool(archive)
    settings = {
        "inference_address": f"http://127.0.0.1:{place.port}",
        "management_address": f"http://127.0.0.1:{free_port()}",
        "metrics_address": f"http://127.0.0.1:{free_port()}",
        "grpc_inference_port": free_port(),
        "grpc_management_port": free_port(),
        "default_workers_per_model": 1,
        "disable_token_authorization": "true",
    }
    lines = [f"{name}={value}\n" for name, value in settings.items()]
    (place.folder / "config.properties").write_text("".join(lines))
    (place.folder / "log4j2.xml").write_text(LOG4J)
    command = [str(place.bin / "torchserve"), "--start", "--foreground", "--no-config-snapshots"]
    command += ["--ts-config", str(place.folder / "config.properties")]
    command += ["--log-config", str(place.folder / "log4j2.xml")]
    return [*command, "--model-store", str(place.folder), "--models", "digits=digits.mar"]


PEERS = (
    Peer("handwritten", _script("handwritten_app.py"), is_framework=False),
    Peer(
        "mlserver",
        _mlserver,
        path="/v2/models/digits/infer",
        body=_mlserver_body,
        digit=lambda answer: int(np.argmax(answer["outputs"][0]["data"])),  # type: ignore[index]
    ),
    Peer("litserve", _script("litserve_app.py")),
    Peer("bentoml", _bentoml),
    Peer(
        "mlflow",
        _mlflow,
        path="/invocations",
        body=lambda image: {"inputs": [image.tolist()]},
        digit=lambda answer: int(np.argmax(answer["predictions"]["logits"])),  # type: ignore[index]
        environment={"UVICORN_ACCESS_LOG": "false"},
    ),
    Peer(
        "ray",
        _script("ray_app.py"),
        path="/",
        environment={
            "RAY_AUTH_MODE": "disabled",
            "RAY_SERVE_ENABLE_HA_PROXY": "1",
            "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        },
    ),
    Peer("torchserve", _torchserve, path="/predictions/digits"),
)


@contextlib.contextmanager
def serve(
    peer: Peer, network: Path, image: Image, label: int, folder: Path
) -> Iterator[tuple[Process, int]]:
    """Start a peer; yield it and its port.

    Args:
        peer: which.
        network: the ONNX file.
        image: uint8 ``[28, 28]`` whose first right answer ends the start.
        label: that answer.
        folder: for what it needs and leaves.

    Raises:
        FailedError: it cannot be installed or started, or the answer is wrong.
    """
    place = Place(network, folder, free_port(), installed(peer.name))
    asked = peer.request(image)

    def is_ready() -> bool:
        digit = peer.digit(json.loads(post(place.port, asked)))
        if digit != label:
            raise FailedError(f"takes a {label} for a {digit}")
        return True

    with running(peer.launch(place), is_ready, folder / "log") as process:
        yield process, place.port
