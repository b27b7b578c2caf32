"""Who takes part in `scripts/bench serving`, and what each is asked."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from hydra import compose, initialize_config_dir

from digits.config import resolvers
from digits.config.instantiate import instantiate
from digits.contract.manifest import ONNX
from scripts.benchmarks import _serving_ours as ours
from scripts.benchmarks._results import ROOT
from scripts.benchmarks._serving_load import Request
from scripts.benchmarks._serving_peers import PEERS, Image, Peer, serve
from scripts.benchmarks._serving_process import Process

CONCURRENCIES = (1, 8, 32)
BEST = "mlserver"  # of the frameworks: it answers with the small network too
#: name -> overrides of ``run.py`` that train it; ``fast`` is the network of `mnist_fast`
NETWORKS = {
    "cnn": [],
    "fast": [
        "model.channels=[16,16]",
        "model.depth=1",
        "+model.stem=patch",
        "+model.crop=2",
        "+model.hidden=128",
    ],
    "tiny": ["model=tiny"],
}
BATCHES = (256, 1024)
NETWORK_RUNS = 3000
BATCHING = {"max_batch": 8, "max_wait_ms": 1}

Start = Callable[[Path], AbstractContextManager[tuple[Process, int]]]


@dataclass(frozen=True, slots=True)
class Case:
    """One row: a request, so many of it at once, and the images in each."""

    name: str
    request: Request
    connections: int
    images: int = 1


@dataclass(frozen=True, slots=True)
class Contender:
    """A server and what it is asked; ``start`` takes a folder for what it needs."""

    name: str
    start: Start
    cases: Sequence[Case] = field(default_factory=list)
    is_ours: bool = False


def contenders(bundles: Mapping[str, Path], image: Image, label: int) -> list[Contender]:
    """Return ours and all peers; ours stand beside the application written by hand.

    Args:
        bundles: of the networks named in :data:`NETWORKS`.
        image: uint8 ``[28, 28]``, the same for all.
        label: the right answer.
    """

    def mine(name: str, network: str, cases: list[Case], **values: Any) -> Contender:
        bundle = bundles[network]
        start = functools.partial(ours.served, bundle, image, label, **values)
        return Contender(name, start, cases, is_ours=True)

    def theirs(peer: Peer, network: str) -> Contender:
        name = peer.name if network == "cnn" else f"{peer.name} {network}"
        start = functools.partial(serve, peer, bundles[network] / ONNX, image, label)
        return Contender(name, start, _loads(name, {"json": peer.request(image)}))

    routes = {"json": ours.as_json(image), "octets": ours.as_octets(image)}
    further = [Case("ours saliency", ours.as_saliency(image), 1), *_batches("ours cnn", image)]
    by_hand, *frameworks = PEERS
    one = Case("ours batching json c=1", routes["json"], 1)
    return [
        theirs(by_hand, "cnn"),
        mine("ours", "cnn", [*_loads("ours", routes), *further]),
        mine("ours batching", "cnn", [one], batching=BATCHING),
        theirs(by_hand, "fast"),
        mine("ours fast", "fast", _loads("ours fast", routes)),
        theirs(next(peer for peer in frameworks if peer.name == BEST), "fast"),
        mine("ours tiny", "tiny", _batches("ours tiny", image)),
        *(theirs(peer, "cnn") for peer in frameworks),
    ]


def _loads(name: str, routes: Mapping[str, Request]) -> list[Case]:
    return [
        Case(f"{name} {route} c={connections}", request, connections)
        for route, request in routes.items()
        for connections in CONCURRENCIES
    ]


def _batches(name: str, image: Image) -> list[Case]:
    return [
        Case(f"{name} {count}{kept}", ours.as_octets(image, count, store=store), 2, count)
        for count in BATCHES
        for kept, store in (("", True), (" not stored", False))
    ]


def digit_for(bundles: Mapping[str, Path]) -> tuple[Image, int]:
    """Return a test digit uint8 ``[28, 28]`` that all networks get right, and its label."""
    resolvers.register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("config", ["paths.output=."])
    test = instantiate(config.data).load().test
    right = np.ones(len(test.labels), bool)
    for bundle in bundles.values():
        right &= _session(bundle).run(None, {"pixels": test.images})[0].argmax(1) == test.labels
    row = int(np.flatnonzero(right)[0])
    return test.images[row], int(test.labels[row])


def alone(bundle: Path, image: Image, _: int) -> dict[str, float]:
    """Return the microseconds that the network itself takes for one image, without a server."""
    session, images = _session(bundle), image[np.newaxis]
    begin = time.thread_time()
    for _ in range(NETWORK_RUNS):
        session.run(None, {"pixels": images})
    return {"cpu_us": 1e6 * (time.thread_time() - begin) / NETWORK_RUNS}


def _session(bundle: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(bundle / ONNX, options)
