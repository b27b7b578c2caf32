"""A deployment whose control plane is moto's, and whose functions run in AWS's own emulator."""

from __future__ import annotations

import os
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from digits.deployment.aws import package
from digits.deployment.aws.function import Lambda
from digits.deployment.target import Order
from tests.e2e.deployment import aws_server
from tests.e2e.deployment.functions import emulated

credentials = aws_server.credentials
RUNTIME = f"python3.{sys.version_info.minor}"


@pytest.fixture
def this_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system here is newer than AWS's under Python 3.11."""
    monkeypatch.setitem(package.GLIBC, RUNTIME, 34)


@pytest.fixture(scope="session")
def cache() -> Path:
    """Kept from one run to the next: the libraries change with the lock alone."""
    home = os.environ.get("XDG_CACHE_HOME", "") or Path.home() / ".cache"
    return Path(home) / "digits" / "lambda"


@pytest.fixture(scope="package")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with aws_server.running(tmp_path_factory.mktemp("moto") / "log") as url:
        yield url


@pytest.fixture
def aws(moto: str, credentials: None, tmp_path: Path) -> Iterator[emulated.Functions]:
    with emulated.running(moto, tmp_path) as functions:
        yield functions
    urllib.request.urlopen(f"{moto}/moto-api/reset", b"", timeout=60).close()


@pytest.fixture
def unbuilt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Code of no use: where nobody asks the function, its 60 MB are not sent about."""
    empty = b"PK\x05\x06" + bytes(18)
    monkeypatch.setattr(package.Package, "build", lambda self: empty)


@pytest.fixture
def target(aws: emulated.Functions, cache: Path, tmp_path: Path) -> Callable[..., Lambda]:
    def target(**changes: Any) -> Lambda:
        folder = str(tmp_path / "deployments" / "lambda")
        given = {"runtime": RUNTIME, "endpoint_url": aws.url, "wait_seconds": 5.0, **changes}
        return Lambda(folder=folder, cache=str(cache), **given)

    return target


@pytest.fixture
def orders(bundles: tuple[Path, Path], order: Callable[..., Order]) -> tuple[Order, Order]:
    first, second = (order(bundle, number) for number, bundle in enumerate(bundles, 1))
    return first, second
