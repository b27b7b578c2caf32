"""The target with SageMaker's control plane alone: no container runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from digits.deployment.aws.sagemaker import SageMaker
from digits.deployment.engine import Engine
from digits.deployment.target import Order
from digits.errors import DeploymentError
from tests.e2e.deployment import aws_server, image_registry
from tests.e2e.deployment.sagemaker.host import Host

credentials = aws_server.credentials
IMAGE = "digits-test-tiny"  # nothing in it: it is pushed, and never run
Make = Callable[..., SageMaker]
Orders = tuple[Order, Order, Order]


@pytest.fixture(scope="package")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    try:
        engine = Engine.find()
    except DeploymentError as error:
        image_registry.lacking(str(error))
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "file").write_text("nothing")
    engine.load_folder(folder, IMAGE)
    yield engine
    engine.run("rmi", IMAGE)


@pytest.fixture(scope="module")
def registry(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with image_registry.running(tmp_path_factory.mktemp("registry")) as host:
        yield host


@pytest.fixture(scope="module")
def running_host() -> Iterator[Host]:
    with Host().running() as host:
        yield host


@pytest.fixture
def host(running_host: Host, credentials: None) -> Host:
    running_host.reset()
    return running_host


@pytest.fixture
def make(host: Host, registry: str, tmp_path: Path, request: pytest.FixtureRequest) -> Make:
    """Make the target as one command after the other does; the registry outlives each test."""
    name = f"t{abs(hash(request.node.name)) % 10**9}"

    def make(**values: Any) -> SageMaker:
        given = {
            "folder": str(tmp_path / "deployments" / "sagemaker"),
            "name": name,
            "image": IMAGE,
            "registry": registry,
            "endpoint_url": host.url,
            "wait_seconds": 650 if values.get("mode") == "realtime" else 20,
        }
        return SageMaker(**(given | values))

    return make


@pytest.fixture
def orders(bundles: tuple[Path, Path], order: Callable[..., Order]) -> Orders:
    first, second = bundles
    return order(first, 1), order(second, 2), order(first, 3)
