"""Size, start, and what an answer costs, in every place that a model can be deployed to here."""

from __future__ import annotations

import functools
import http.client
import json
import math
import time
import urllib.error
from collections.abc import Mapping
from urllib.parse import urlsplit

import numpy as np

from digits.tasks.invocation import sample
from scripts.benchmarks._deployment_places import PLACES, Running, ask, has, image_megabytes
from scripts.benchmarks._results import Results, arguments, show, spread
from scripts.benchmarks._trained import trained_bundle

TRAINED = ["data=uci"]
REQUESTS = 500
START_SECONDS = 120.0
LOOK_SECONDS = 0.005
VALUES = ["image_mb", "above_base_mb", "cold_s", "p50_ms", "p99_ms", "cpu_us", "rss_mb"]


def measured(name: str, _: int) -> Mapping[str, float]:
    """Start a place from nothing, wait for the first answer, then ask it again and again."""
    start, image = PLACES[name]
    bundle = trained_bundle(TRAINED)
    pixels, label = sample(bundle)
    body = json.dumps({"pixels": pixels.tolist()}).encode()
    size, above = image_megabytes(image) if image else (float("nan"), float("nan"))
    began = time.perf_counter()
    with start(bundle) as running:
        first = _first(running, body)
        cold = time.perf_counter() - began
        assert first["digit"] == label, first
        before = _cpu(running)
        times = _warm(running, body)
        cpu = _cpu(running) - before
        resident = sum(each.memory_info().rss for each in running.processes()) / 1e6
    p50, p99 = np.percentile(times, [50, 99])
    costs = [1000 * p50, 1000 * p99, 1e6 * cpu / REQUESTS, resident]
    return dict(zip(VALUES, [size, above, cold, *costs], strict=True))


def _first(running: Running, body: bytes) -> dict[str, object]:
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            return ask(running, body)
        except (OSError, urllib.error.URLError, http.client.HTTPException):
            if time.monotonic() > until:
                raise
            time.sleep(LOOK_SECONDS)


def _warm(running: Running, body: bytes) -> list[float]:
    """Return the seconds of each of many requests, one after the other on one connection."""
    where = urlsplit(running.address)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=30)
    connection.connect()
    times = []
    for _ in range(REQUESTS):
        began = time.perf_counter()
        connection.request("POST", where.path, body, dict(running.headers))
        answer = connection.getresponse()
        content = answer.read()
        times.append(time.perf_counter() - began)
        assert answer.status == 200, content
    connection.close()
    return times


def _cpu(running: Running) -> float:
    found = [each.cpu_times() for each in running.processes()]
    return sum(each.user + each.system for each in found)


def _told(values: list[float]) -> str:
    return "–" if any(map(math.isnan, values)) else spread(values)


def main() -> None:
    """Measure what is missing, then print the table."""
    options = arguments(__doc__, repeats=3)
    results = Results("deployment", VALUES, fresh=options.fresh)
    skipped = {name: lack for name in PLACES if (lack := has(name))}
    for repeat in range(options.repeats):
        for name in PLACES:
            if name not in skipped:
                row = functools.partial(measured, name)
                results.measure(name, repeat, row, command="scripts/bench deployment")
    rows = [
        [name, *(_told(results.column(name, value)) for value in VALUES)]
        for name in PLACES
        if name not in skipped
    ]
    title = f"the default cnn, the same digit as JSON, {REQUESTS} times in a row"
    show(title, ["", "image MB", "above base", "cold s", "p50 ms", "p99 ms", "CPU µs", "MB"], rows)
    for name, lack in skipped.items():
        print(f"{name} is left out: there is no {lack}")


if __name__ == "__main__":
    main()
