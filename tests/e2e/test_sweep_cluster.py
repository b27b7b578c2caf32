"""A sweep on a cluster of two nodes, one of which dies while it runs."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.sweeper_app.runner import INTERVAL, App, samples, steps

pytest.importorskip("ray.tune")
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

TRIALS, STEPS = 6, 6


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port: int = server.getsockname()[1]
    return port


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    app = App(tmp_path)
    yield app
    app.kill_all()


@pytest.fixture
def address(app: App, monkeypatch: pytest.MonkeyPatch) -> str:
    """Two nodes with one core each, as `ray start` makes them."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")  # it would write a token to the home folder
    address = f"127.0.0.1:{free_port()}"
    ray = str(Path(sys.executable).with_name("ray"))
    common = ["--num-cpus=1", "--disable-usage-stats", f"--object-store-memory={100 * 2**20}"]
    head = ["--head", f"--port={address.split(':')[1]}", "--include-dashboard=false"]
    head.append(f"--ray-client-server-port={free_port()}")
    for role in (head, [f"--address={address}"]):
        started = app.launch([ray, "start", *role, *common])
        output, _ = started.communicate(timeout=120)
        assert started.returncode == 0, output
    return address


def parent(pid: int) -> int:
    """The process that has started another: of a worker, its node."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_node_that_dies_takes_no_result_with_it(app: App, address: str) -> None:
    sweep = app.start(
        INTERVAL,
        samples(TRIALS),
        steps(STEPS),
        "sleep=0.7",
        f"hydra.sweeper.address={address}",
        "hydra.sweeper.retries=2",
    )
    app.await_(lambda: bool(app.done(0) and app.done(1)))
    nodes = {number: parent(app.done(number)[-1]["pid"]) for number in (0, 1)}
    assert nodes[0] != nodes[1], "both trials run on one node"
    lines = app.running()
    second = max(nodes.values())  # the head was started first, and the sweep has to talk to it
    assert "raylet" in lines[second]
    os.kill(second, signal.SIGKILL)
    output, _ = sweep.communicate(timeout=300)
    assert sweep.returncode == 0, output
    for number, trial in enumerate(app.trials()):
        assert trial["status"] == "finished", output
        assert [step["step"] for step in trial["steps"]] == list(range(1, STEPS + 1))
        assert [step["step"] for step in app.done(number)] == list(range(1, STEPS + 1))
