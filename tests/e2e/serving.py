"""Models to serve, a service that runs, and clients that do not stop asking."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import torch
from mlflow import MlflowClient

from digits.contract.manifest import ONNX
from digits.contract.preprocessing import Preprocessing
from digits.models.networks import Tiny
from digits.registry.bundle import Origin, write_bundle
from digits.registry.versions import register
from digits.tracking.record import Record
from digits.tracking.store import Tracking
from digits.training.export import to_onnx
from tests.e2e.conftest import Program

BLANK = bytes(784)
CONFIG = "model:\n  _target_: digits.models.networks.Tiny\n  channels: [4, 8]\n  pool_after: [1]\n"


class Models:
    """Registers versions of one small network in the store of a program, each file another."""

    def __init__(self, program: Program) -> None:
        self.folder = program.folder / "models"
        self.folder.mkdir()
        self.tracking = Tracking(uri=f"sqlite:///{program.folder}/outputs/mlflow.db")
        torch.manual_seed(3)
        self.network = Tiny([4, 8], pool_after=[1]).to(memory_format=torch.channels_last).eval()
        standard = Preprocessing()
        self.graph = self.folder / ONNX
        to_onnx(self.network, mean=standard.mean, std=standard.std, file=self.graph)

    @property
    def client(self) -> MlflowClient:
        """Of the registry."""
        return self.tracking.client()

    def add(self) -> Path:
        """Register one more; return where its bundle is stored."""
        folder = self.folder / str(time.monotonic_ns())
        folder.mkdir()
        (folder / "config.yaml").write_text(CONFIG)
        model = onnx.load(self.graph)
        model.doc_string = str(folder)
        onnx.save(model, folder / ONNX)
        record = Record(folder, "train", "c0ffee", {"seed": 3}, [], 3)
        with self.tracking.start(record) as run:
            manifest = write_bundle(
                folder / "bundle",
                network=self.network,
                graph=folder / ONNX,
                config=folder / "config.yaml",
                example=np.zeros((2, 28, 28), np.uint8),
                preprocessing=Preprocessing(),
                origin=Origin(run.id, "bars", "d" * 64, {"test/accuracy": 0.9}),
            )
            run.log_folder(folder / "bundle", "bundle")
            stored = run.client.get_run(run.id).info.artifact_uri.removeprefix("file://")
        register(run.client, name="digits", run_id=run.id, manifest=manifest)
        return Path(stored) / "bundle"

    def crown(self, number: int) -> None:
        """Make a version the champion."""
        self.client.set_registered_model_alias("digits", "champion", str(number))


class Service:
    """A service of ours, at an address."""

    def __init__(self, address: str, errors: Path | None = None) -> None:
        self.address = address
        self.host, _, port = address.removeprefix("http://").partition(":")
        self.port = int(port)
        self.errors = errors

    def ask(self, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """Send one request on a connection of its own: (status, body)."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=20)
        try:
            kind = {"Content-Type": "application/octet-stream"} if body is not None else {}
            connection.request("GET" if body is None else "POST", path, body, kind)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def version(self) -> str:
        """Return who answers now."""
        return str(json.loads(self.ask("/v1/predict", BLANK)[1])["version"])

    def metric(self, name: str) -> float:
        """Return the sum of a metric over its labels."""
        text = self.ask("/metrics")[1].decode()
        return sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.M))


@contextmanager
def running(program: Program, *overrides: str) -> Iterator[tuple[Service, subprocess.Popen[str]]]:
    """Start ``task=serve`` on a free port; end it in the end, whatever happened."""
    errors = program.folder / f"errors-{time.monotonic_ns()}.txt"
    with errors.open("w") as stream:
        process = subprocess.Popen(
            program.command(["task=serve", "serving.port=0", "watch_seconds=0.2", *overrides]),
            stdout=subprocess.PIPE,
            stderr=stream,
            text=True,
            cwd=program.folder,
        )
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        assert first.startswith("address"), errors.read_text()
        yield Service(first.split()[1], errors), process
    finally:
        process.terminate()
        try:
            process.wait(30)
        finally:
            process.kill()
            if process.stdout is not None:
                process.stdout.close()


def children(pid: int) -> dict[int, str]:
    """Return the processes that a process has started: number -> command line."""
    found = {}
    for each in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((each / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == pid:
                found[int(each.name)] = (each / "cmdline").read_text().replace("\0", " ")
        except (OSError, ValueError):
            continue
    return found


def workers(pid: int) -> list[int]:
    """Return the workers of a supervisor."""
    return [number for number, line in children(pid).items() if "-m serving" in line]


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    """Tell whether a process runs."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def kill(pid: int) -> None:
    """Kill, as the kernel does when memory is short."""
    os.kill(pid, signal.SIGKILL)


class Load:
    """Clients that ask one thing after another until they are stopped.

    Attributes:
        versions: how many answers came from each version.
        failures: what went wrong.
        slowest: seconds that an answer took at most.
    """

    def __init__(self, service: Service, clients: int = 4) -> None:
        self.versions: Counter[str] = Counter()
        self.failures: list[str] = []
        self.slowest = 0.0
        self.clients = clients
        self._service = service
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        connection = self._connection()
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                connection.request(
                    "POST", "/v1/predict", BLANK, {"Content-Type": "application/octet-stream"}
                )
                answer = connection.getresponse()
                body = json.loads(answer.read())
                if answer.status == http.HTTPStatus.OK:
                    self.versions[body["version"]] += 1
                else:
                    self.failures.append(f"{answer.status} {body}")
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.failures.append(repr(error))
                connection.close()
                connection = self._connection()
            self.slowest = max(self.slowest, time.monotonic() - began)
        connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self._service.host, self._service.port, timeout=20)
