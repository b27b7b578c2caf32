"""`deployment=docker` on the real engine: hardened, replaced, rolled back, and what goes wrong."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from digits.contract.traffic import TrafficStore
from digits.deployment import containers, images
from digits.deployment.asking import reply
from digits.deployment.docker import Docker
from digits.deployment.engine import Engine
from digits.deployment.target import Order
from digits.errors import ConfigError, DeploymentError
from serving.settings import KEYS
from tests.e2e.deployment.conformance import ONE, check
from tests.e2e.deployment.engine import engine, wait

__all__ = ["engine"]  # a fixture

pytestmark = [pytest.mark.service, pytest.mark.timeout(280)]

Make = Callable[..., Docker]
NAME = f"digits-docker-{os.getpid()}"


@pytest.fixture
def make(engine: Engine, tmp_path: Path) -> Iterator[Make]:
    """Make a target of this test's own; what it has left is removed."""
    made: list[Docker] = []

    def make(**options: Any) -> Docker:
        name = NAME
        folder, traffic = str(tmp_path / "deployments" / "target"), str(tmp_path / "traffic")
        made.append(Docker(folder=folder, traffic=traffic, **{"name": name, **options}))
        return made[-1]

    yield make
    for each in made:
        each.destroy()


@pytest.mark.parametrize("model", ["mounted", "baked"])
def test_conformance(
    make: Make, engine: Engine, bundles: tuple[Path, Path], order: Callable[..., Order], model: str
) -> None:
    first, second = (order(bundle, number, port=0) for number, bundle in enumerate(bundles, 1))
    target = make(model=model)
    check(target, first, second, anew=lambda: make(model=model))
    assert not _images(engine) and not _containers(engine)


def test_another_version_takes_over_without_a_pause(
    make: Make, bundles: tuple[Path, Path], order: Callable[..., Order]
) -> None:
    target = make()
    target.apply(order(bundles[0], 1, port=0, workers=2))
    address = target.status().address
    over, answered = threading.Event(), Counter[str]()

    def ask() -> None:
        while not over.is_set():
            got = reply(f"{address}/v1/predict", ONE)
            answered[str(got.content.get("version", got.status))] += 1

    with ThreadPoolExecutor(2) as clients:
        asking = [clients.submit(ask) for _ in range(2)]
        try:
            assert [
                each.what for each in target.apply(order(bundles[1], 2, port=0, workers=2))
            ] == ["model"]
        finally:
            over.set()
        for each in asking:
            each.result()
    assert set(answered) == {"digits/1", "digits/2"}


def test_container_has_no_rights_and_ends_in_peace(
    make: Make, engine: Engine, bundles: tuple[Path, Path], order: Callable[..., Order]
) -> None:
    target = make()
    target.apply(order(bundles[0], 1, port=0))
    found = engine.inspect("container", target.name)
    assert found is not None
    host = found["HostConfig"]
    assert (host["ReadonlyRootfs"], host["CapDrop"]) == (True, ["ALL"])
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert not host["Privileged"] and not host["CapAdd"]

    def inside(program: str) -> str:
        return engine.run("exec", target.name, "python", "-c", program)

    assert inside("import os; print(os.getuid(), os.getgid())") == "10001 10001"
    status = inside("print(open('/proc/self/status').read())")
    rights = dict(line.split(":\t") for line in status.splitlines() if ":\t" in line)
    assert {rights[f"Cap{each}"].strip("0") for each in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {""}
    assert rights["NoNewPrivs"] == "1"
    for place in ("/opt/app", "/opt/ml/served", "/var"):
        with pytest.raises(DeploymentError, match=r"Read-only file system|Permission denied"):
            inside(f"open('{place}/x', 'w')")
    inside("open('/tmp/x', 'w')")
    for absent in ("torch", "mlflow", "feast", "pip"):
        with pytest.raises(DeploymentError, match="ModuleNotFoundError"):
            inside(f"import {absent}")
    # What Docker itself finds of its health.
    assert engine.run("exec", target.name, "python", "-m", "serving.health") == ""
    began = time.monotonic()
    containers.stop(engine, target.name, order(bundles[0], 1).settings)
    assert time.monotonic() - began < 15
    ended = engine.inspect("container", target.name)
    assert ended is not None and ended["State"]["ExitCode"] == 0
    with pytest.raises(DeploymentError, match="does not run"):
        target.ask(ONE, "application/octet-stream")


def test_traffic_is_kept_outside_and_stays(
    make: Make, bundles: tuple[Path, Path], order: Callable[..., Order], tmp_path: Path
) -> None:
    target = make()
    wanted = order(bundles[0], 1, port=0, traffic={"url": f"sqlite:///{tmp_path}/other.db"})
    target.apply(wanted)
    answer = target.ask(ONE, "application/octet-stream").content
    assert answer["stored"] == "queued"
    address = dict(target.status().rows)["traffic"].removeprefix("traffic.url=")
    target.destroy()
    store = TrafficStore(address)
    try:
        assert store.find(answer["id"]) is not None
    finally:
        store.close()
    assert not (tmp_path / "other.db").exists()


def test_new_settings_replace_the_container_and_a_bad_start_brings_the_old_one_back(
    make: Make, engine: Engine, bundles: tuple[Path, Path], order: Callable[..., Order]
) -> None:
    target = make()
    target.apply(order(bundles[0], 1, port=0))
    wanted = order(bundles[0], 1, port=0, limits={"batch": 1})
    assert [each.change for each in target.plan(wanted)] == ["change"]
    target.apply(wanted)
    two = json.dumps({"images": ["", ""]}).encode()
    assert target.ask(two, "application/json").content["code"] == "too_many"

    starved = make(memory_mb=128, wait_seconds=0.2)
    with pytest.raises(DeploymentError, match=r"does not (answer after 0.2 s|start)"):
        starved.apply(order(bundles[1], 2, port=0))
    wait(lambda: target.status().version == "digits/1")
    assert _containers(engine) == {NAME}
    # Cut short after the old one was set aside: the next command starts from there.
    target.ledger.making("container", f"{target.name}-before")
    engine.run("rename", target.name, f"{target.name}-before")
    engine.run("stop", f"{target.name}-before")
    assert [each.change for each in target.apply(wanted)] == ["keep"]
    wait(lambda: target.ask(ONE, "application/octet-stream").status == 200)


def test_keys_are_not_lost_by_a_rollback_nor_the_image_by_another_deployment(
    make: Make,
    engine: Engine,
    bundles: tuple[Path, Path],
    order: Callable[..., Order],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(KEYS, "key")
    target = make()
    for number, bundle in enumerate(bundles, 1):
        target.apply(order(bundle, number, port=0))
    monkeypatch.delenv(KEYS)
    assert target.ask(ONE, "application/octet-stream").status == 401
    with pytest.raises(DeploymentError, match=f"was started with {KEYS}, and here there is none"):
        target.rollback()
    monkeypatch.setenv(KEYS, "key")
    assert target.status().version == "digits/2"
    assert engine.remove_image(images.tag_of()) is False
    assert engine.image_id(images.tag_of()) is not None


def test_first_start_that_fails_leaves_nothing(
    make: Make, engine: Engine, bundles: tuple[Path, Path], order: Callable[..., Order]
) -> None:
    target = make(wait_seconds=0.05)
    with pytest.raises(DeploymentError, match=r"0.05 s"):
        target.apply(order(bundles[0], 1, port=0))
    assert not target.folder.exists() and not _containers(engine)


def test_what_cannot_be_is_said_before_anything_is_made(
    make: Make,
    engine: Engine,
    bundles: tuple[Path, Path],
    order: Callable[..., Order],
    tmp_path: Path,
) -> None:
    sound = order(bundles[0], 1, port=0)
    with pytest.raises(DeploymentError, match="no image nowhere/none"):
        make(image="nowhere/none").plan(sound)
    elsewhere = order(bundles[0], 1, traffic={"url": "postgresql://me@localhost/digits"})
    with pytest.raises(ConfigError, match=r"serving.traffic.url *localhost is this machine's"):
        make().plan(elsewhere)
    with pytest.raises(ConfigError, match=r"serving\.port"):
        make(network="host").plan(sound)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"serving.port *{port} is in use"):
            make().apply(order(bundles[0], 1, port=port))
    taken_name = make().name
    engine.run("create", "--name", taken_name, images.tag_of())
    try:
        for change in (make().plan, make().apply):
            with pytest.raises(DeploymentError, match="did not make: choose another name"):
                change(sound)
    finally:
        containers.remove(engine, taken_name)
    mine = tmp_path / "deployments" / "target" / "mine"
    mine.parent.mkdir(parents=True)
    mine.touch()
    with pytest.raises(DeploymentError, match="holds something else"):
        make().apply(sound)
    mine.unlink()


def test_no_engine_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    with pytest.raises(
        DeploymentError, match=r"No Docker engine answers: start it.*Cannot connect"
    ):
        Engine.find()


def _images(engine: Engine) -> set[str]:
    listed = engine.run("images", "--format", "{{.Repository}}:{{.Tag}}").splitlines()
    return {each for each in listed if each.startswith(NAME)}


def _containers(engine: Engine) -> set[str]:
    listed = engine.run("ps", "--all", "--format", "{{.Names}}").splitlines()
    return {each for each in listed if each.startswith(NAME)}
