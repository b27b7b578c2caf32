"""Two bundles that answer differently, and orders for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from digits.contract.manifest import MANIFEST, ONNX, sha256_of
from digits.contract.pointer import Pointed, Pointer
from digits.contract.preprocessing import Preprocessing
from digits.deployment.resolve import Watch
from digits.deployment.target import Order
from digits.models.networks import Tiny
from digits.registry.bundle import Origin, write_bundle
from digits.training.export import to_onnx
from serving.settings import Settings

CONFIG = "model:\n  _target_: digits.models.networks.Tiny\n  channels: [4, 8]\n  pool_after: [1]\n"


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Bundles of two small networks with other weights."""
    folder = tmp_path_factory.mktemp("bundles")
    config = folder / "config.yaml"
    config.write_text(CONFIG)
    return _bundle(folder, config, 3), _bundle(folder, config, 4)


def _bundle(folder: Path, config: Path, seed: int) -> Path:
    torch.manual_seed(seed)
    network = Tiny([4, 8], pool_after=[1])
    network.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    standard, graph = Preprocessing(), folder / f"{seed}.onnx"
    to_onnx(network, mean=standard.mean, std=standard.std, file=graph)
    write_bundle(
        folder / str(seed),
        network=network,
        graph=graph,
        config=config,
        example=np.zeros((2, 28, 28), np.uint8),
        preprocessing=standard,
        origin=Origin(f"run{seed}", "bars", "d" * 64, {"test/accuracy": 0.9}),
    )
    return folder / str(seed)


@pytest.fixture
def order(tmp_path: Path) -> Callable[..., Order]:
    """Make an order: ``order(bundle, number, **settings)``."""

    def order(bundle: Path, number: int, **settings: Any) -> Order:
        model = Pointed(
            name="digits",
            number=number,
            folder=bundle,
            onnx_sha256=sha256_of(bundle / ONNX),
            manifest_sha256=sha256_of(bundle / MANIFEST),
        )
        pointer = tmp_path / "deployments" / "target" / "pointer.json"
        watch = Watch(
            pointer=pointer,
            tracking_uri=f"sqlite:///{tmp_path}/mlflow.db",
            version=str(number),
            cache=tmp_path / "cache",
        )
        return Order(Settings(pointer=pointer, **settings), watch, Pointer(champion=model))

    return order
