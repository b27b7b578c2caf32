"""`deployment=torchserve`, with the real server on this machine's Java."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from digits.contract.manifest import ONNX, Manifest, sha256_of
from digits.contract.pointer import Pointer
from digits.deployment.target import Order
from digits.deployment.torchserve import process
from digits.deployment.torchserve.management import KEYS
from digits.deployment.torchserve.target import TorchServe
from digits.errors import DeploymentError
from tests.e2e.deployment.conformance import ONE, check

OCTETS = "application/octet-stream"

pytestmark = [pytest.mark.service, pytest.mark.timeout(300)]


@pytest.fixture(autouse=True)
def needed() -> None:
    """Java and TorchServe; .ci/run does not let them be missing."""
    lacks = [] if shutil.which("java") else ["Java"]
    lacks += [] if importlib.util.find_spec("ts") else ["the extra torchserve"]
    if lacks and os.environ.get("DIGITS_REQUIRE_SERVICES") == "1":
        pytest.fail(f"there is no {' and no '.join(lacks)}")
    if lacks:
        pytest.skip(f"there is no {' and no '.join(lacks)}")


Make = Callable[..., TorchServe]


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Make]:
    """Make the target, as each command does; what is left is removed in the end."""
    folder = tmp_path / "deployments" / "target"

    def target(**further: float) -> TorchServe:
        return TorchServe(folder=str(folder), management_port=0, **further)

    yield target
    target().destroy()
    assert not process.is_there(folder)


def test_conformance(target: Make, bundles: tuple[Path, Path], order: Callable[..., Order]) -> None:
    first, second = (order(bundle, number, port=0) for number, bundle in enumerate(bundles, 1))
    check(target(), first, second, anew=target)


def test_server_that_is_killed_comes_back_and_wants_its_tokens(
    target: Make, bundles: tuple[Path, Path], order: Callable[..., Order]
) -> None:
    first, second = (order(bundle, number, port=0) for number, bundle in enumerate(bundles, 1))
    served = target(token_minutes=1)
    served.apply(first)
    keys = served.folder / KEYS
    assert keys.stat().st_mode & 0o77 == 0
    assert served.folder.stat().st_mode & 0o77 == 0

    java = the_server(served)
    java.kill()
    answered_again(served, "digits/1")
    assert the_server(served) != java

    assert refused(served, "predictions/digits", of="inference") == 400
    assert refused(served, "models", of="management") == 400
    kept = json.loads(keys.read_bytes())
    kept["inference"]["expiration time"] = "2020-01-01T00:00:00.123456789Z"  # as Java writes it
    keys.write_text(json.dumps(kept))
    assert served.ask(ONE, OCTETS).status == 200
    assert json.loads(keys.read_bytes())["inference"]["key"] != kept["inference"]["key"]

    # A version whose workers cannot load it.
    with pytest.raises(DeploymentError, match="TorchServe refuses"):
        served.apply(broken(second, served.folder.parent / "broken"))
    assert served.ask(ONE, OCTETS).content["version"] == "digits/1"
    assert len(list((served.folder / "store").iterdir())) == 1
    assert served.status().version == "digits/1"
    with pytest.raises(DeploymentError, match="no version was out before"):
        served.rollback()

    # The keeper is killed: its server is found all the same.
    the_keeper(served).kill()
    assert served.destroy()
    assert not process.is_there(served.folder)


def the_server(target: TorchServe) -> psutil.Process:
    """Return Java."""
    (found,) = (
        each for each in process.processes(target.folder) if "java" in Path(each.exe()).name
    )
    return found


def the_keeper(target: TorchServe) -> psutil.Process:
    """Return what starts Java again."""
    (found,) = (
        each for each in process.processes(target.folder) if "java" not in Path(each.exe()).name
    )
    return found


def answered_again(target: TorchServe, version: str) -> None:
    """Wait until the version answers."""
    until = time.monotonic() + 120
    while True:
        try:
            if target.ask(ONE, OCTETS).content.get("version") == version:
                return
        except DeploymentError:
            pass
        assert time.monotonic() < until, (target.folder / "service.log").read_text()
        time.sleep(0.5)


def refused(target: TorchServe, path: str, *, of: str) -> int:
    """Return the status of a request without a token."""
    facts = target.ledger.resources[1].facts
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(f"{facts[of]}/{path}", timeout=10)
    error.value.close()
    return error.value.code


def broken(order: Order, folder: Path) -> Order:
    """Return the order with a bundle that is whole, and whose network is none."""
    shutil.copytree(order.model.folder, folder)
    (folder / ONNX).write_bytes(b"no network")
    manifest = Manifest.read(folder)
    files = {**manifest.files, ONNX: sha256_of(folder / ONNX)}
    manifest.model_copy(update={"files": files}).write(folder)
    model = order.model.model_copy(
        update={"folder": folder, "onnx_sha256": files[ONNX], "manifest_sha256": None}
    )
    return dataclasses.replace(order, pointer=Pointer(champion=model))
