"""`deployment=sagemaker` with its container, started as SageMaker starts it, asked by boto3."""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from digits.deployment.aws.sagemaker import SageMaker
from digits.deployment.engine import Engine
from digits.deployment.target import Order
from digits.errors import DeploymentError
from serving.settings import Limits
from tests.e2e.conftest import Program
from tests.e2e.deployment import aws_server, image_registry
from tests.e2e.deployment.conformance import ONE, check
from tests.e2e.deployment.sagemaker.fleet import Fleet
from tests.e2e.deployment.sagemaker.host import Host

pytestmark = [pytest.mark.service, pytest.mark.usefixtures("credentials"), pytest.mark.timeout(200)]
credentials = aws_server.credentials

IMAGE = "digits-sagemaker"
Make = Callable[..., SageMaker]


@pytest.fixture(scope="module")
def engine() -> Engine:
    return image_registry.engine_with(IMAGE)


@pytest.fixture(scope="module")
def registry(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with image_registry.running(tmp_path_factory.mktemp("registry")) as host:
        yield host


@pytest.fixture(scope="module")
def running_host(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    folder = tmp_path_factory.mktemp("models")
    folder.chmod(0o755)  # the container's user is not ours
    with Host(Fleet(engine, folder)).running() as host:
        yield host


@pytest.fixture
def host(running_host: Host, credentials: None) -> Host:
    running_host.reset()
    return running_host


@pytest.fixture
def make(host: Host, registry: str, tmp_path: Path, engine: Engine) -> Make:
    """Make the target as one command after the other does."""
    image = engine.image_id(IMAGE)  # the same all through, whoever builds meanwhile
    assert image is not None

    def make(name: str = "digits") -> SageMaker:
        return SageMaker(
            folder=str(tmp_path / "deployments" / "sagemaker"),
            name=name,
            image=image,
            registry=registry,
            endpoint_url=host.url,
            wait_seconds=60,
        )

    return make


def test_conformance(
    bundles: tuple[Path, Path],
    order: Callable[..., Order],
    make: Make,
    host: Host,
) -> None:
    fleet = host.fleet
    assert fleet is not None
    first, second = (order(bundle, number) for number, bundle in enumerate(bundles, 1))
    check(make(), first, second, anew=make)
    assert not fleet.names
    # A, B, and A once more: each was told by SIGTERM, and ended in peace.
    assert fleet.exit_codes == [0, 0, 0]


def test_a_bundle_that_was_changed_at_s3_is_not_served(
    bundles: tuple[Path, Path], order: Callable[..., Order], make: Make, monkeypatch: Any
) -> None:
    first, second = (order(bundle, number) for number, bundle in enumerate(bundles, 1))
    target = make("changed")
    target.apply(first)

    def other(folder: Path) -> bytes:
        """The first bundle's files, under the name of the second."""
        content = BytesIO()
        with tarfile.open(fileobj=content, mode="w:gz") as archive:
            archive.add(bundles[0], ".")
        return content.getvalue()

    with monkeypatch.context() as patched:
        patched.setattr("digits.deployment.aws.blueprint.packed", other)
        with pytest.raises(
            DeploymentError, match=r"took the update.*back.*health check[\s\S]*sha256"
        ):
            target.apply(second)
    assert target.ask(ONE, "application/octet-stream").content["version"] == "digits/1"
    target.destroy()


def test_the_container_is_told_the_settings_of_the_service(
    bundles: tuple[Path, Path], order: Callable[..., Order], make: Make
) -> None:
    target = make("limited")
    target.apply(order(bundles[0], 1, limits=Limits(batch=2, body_bytes=4000)))
    reply = target.ask(bytes(3 * 784), "application/octet-stream")
    assert (reply.status, reply.content["code"]) == (413, "too_many")
    assert target.ask(bytes(4001), "application/octet-stream").status == 413
    target.destroy()


@pytest.mark.e2e
def test_commands(bundles: tuple[Path, Path], program: Program, host: Host, registry: str) -> None:
    def run(action: str, **environment: str) -> Any:
        return program(
            "task=deploy",
            "deployment=sagemaker",
            f"deployment.endpoint_url={host.url}",
            f"deployment.registry={registry}",
            "deployment.name=typed",
            f"version={bundles[0]}",
            f"action={action}",
            **environment,
        )

    refused = run("plan", AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")
    assert refused.returncode == 1
    assert "No AWS credentials" in refused.stderr
    assert "Traceback" not in refused.stderr
    for action, told in (
        ("apply", "create sagemaker-endpoint typed"),
        ("invoke", "confidence"),
        ("destroy", "remove sagemaker-endpoint typed"),
    ):
        done = run(action)
        assert done.returncode == 0, done.stderr
        assert told in done.stdout, done.stdout
