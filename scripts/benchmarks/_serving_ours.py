"""Our service as anybody starts it: one worker, the traffic store, validation and metrics on."""

from __future__ import annotations

import contextlib
import http.client
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scripts.benchmarks._results import ROOT
from scripts.benchmarks._serving_load import Request, post
from scripts.benchmarks._serving_process import FailedError, Launch, Process, free_port, running
from serving.settings import Settings

ROUTE = "/v1/predict"
OCTETS = "application/octet-stream"

Image = NDArray[np.uint8]


def as_json(image: Image) -> Request:
    """Return the JSON request for an image uint8 ``[28, 28]``."""
    body = json.dumps({"pixels": image.reshape(-1).tolist()}, separators=(",", ":"))
    return Request(ROUTE, body.encode())


def as_octets(image: Image, count: int = 1, *, store: bool = True) -> Request:
    """Return the request with 784 bytes an image, the same ``count`` times."""
    query = "" if store else "?store=false"
    return Request(ROUTE + query, image.tobytes() * count, OCTETS)


def as_saliency(image: Image) -> Request:
    """Return the request for the quickest explanation."""
    return Request("/v1/explain?method=saliency", image.tobytes(), OCTETS)


@contextlib.contextmanager
def served(
    bundle: Path, image: Image, label: int, folder: Path, **values: Any
) -> Iterator[tuple[Process, int]]:
    """Start it on a bundle folder; yield it and its port.

    Args:
        bundle: that it serves.
        image: uint8 ``[28, 28]`` whose first right answer ends the start.
        label: that answer.
        folder: for its settings, log and traffic store.
        values: settings other than the defaults.
    """
    port = free_port()
    store = {"url": f"sqlite:///{folder}/traffic.db"}
    settings = Settings.of({"pointer": bundle, "port": port, "traffic": store, **values})
    file = folder / "settings.json"
    file.write_text(settings.model_dump_json())
    launch = Launch([sys.executable, "-m", "serving", str(file)], {"OMP_NUM_THREADS": "1"}, ROOT)
    asked = as_octets(image)

    def is_ready() -> bool:
        answer: Mapping[str, int] = json.loads(post(port, asked))
        if answer["digit"] != label:
            raise FailedError(f"takes a {label} for a {answer['digit']}")
        return True

    with running(launch, is_ready, folder / "log") as process:
        yield process, port


def counted(port: int, name: str) -> float:
    """Return a counter without labels out of ``/metrics``."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
    finally:
        connection.close()
    return float(next(line.split()[1] for line in lines if line.startswith(f"{name}_total ")))
