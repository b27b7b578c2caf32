"""The whole stack, from images of our own: what is registered is served, kept, and counted."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from digits.deployment import images
from digits.deployment.engine import Engine
from digits.errors import DeploymentError
from digits.tracking.store import Tracking
from tests.e2e.conftest import ROOT, Program
from tests.e2e.deployment.engine import engine
from tests.e2e.serving import BLANK, Models, Service, until

__all__ = ["engine"]  # a fixture

pytestmark = [pytest.mark.service, pytest.mark.timeout(900)]

PORTS = ("SERVING_PORT", "MLFLOW_PORT", "PROMETHEUS_PORT", "REDIS_PORT")
RUNNING = ("mlflow", "postgres", "prometheus", "redis", "s3", "service")
MODEL = ("model=tiny", "trainer.max_epochs=1", "callbacks=none")


class Stack:
    """The stack under a name and at ports of its own."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine, self.folder, self.told = engine, folder, ""
        self.project = f"digits-test-{os.getpid()}"
        self.ports = {name: free_port() for name in PORTS}
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            "COMPOSE_PROJECT_NAME": self.project,
            "SERVICE_IMAGE": self.project,  # nobody else's
            **{name: str(port) for name, port in self.ports.items()},
        }
        self.mlflow = f"http://127.0.0.1:{self.ports['MLFLOW_PORT']}"
        self.service = Service(f"http://127.0.0.1:{self.ports['SERVING_PORT']}")

    def script(self, name: str, *arguments: str) -> str:
        """Run one of scripts/ and return what it wrote."""
        done = subprocess.run(
            [str(ROOT / "scripts" / name), *arguments],
            capture_output=True,
            text=True,
            env=self.environment,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, done.stderr[-4000:]
        return done.stdout

    def inside(self, service: str, *command: str) -> str:
        """Run a command in a container."""
        return self.engine.run("exec", self.container(service), *command)

    def container(self, service: str) -> str:
        """Return the id of a service's container."""
        (found,) = self.ids(f"label=com.docker.compose.service={service}")
        return found

    def ids(self, *filters: str) -> list[str]:
        """Return the ids of the stack's containers."""
        chosen = [f"--filter={each}" for each in (self.label, *filters)]
        return self.engine.run("ps", "--all", "--quiet", *chosen).split()

    @property
    def label(self) -> str:
        """What everything of the stack carries."""
        return f"label=com.docker.compose.project={self.project}"

    def prometheus(self, path: str, **asked: str) -> Any:
        """Ask Prometheus; JSON of its interface, else text."""
        query = f"?{urllib.parse.urlencode(asked)}" if asked else ""
        address = f"http://127.0.0.1:{self.ports['PROMETHEUS_PORT']}/{path}{query}"
        with urllib.request.urlopen(address, timeout=20) as answer:
            text = answer.read().decode()
        return json.loads(text)["data"] if path.startswith("api/") else text

    def value(self, expression: str) -> float:
        """Return the sum of an expression's values now."""
        found = self.prometheus("api/v1/query", query=expression)["result"]
        return sum(float(each["value"][1]) for each in found)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def stack(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The stack, up; nothing is left of it in the end."""
    stack = Stack(engine, tmp_path_factory.mktemp("stack"))
    try:
        engine.run("tag", images.tag_of(), stack.project)
        stack.told = stack.script("up")
        yield stack
    finally:
        stack.script("down", "--volumes")
        engine.run("rmi", stack.project)


@pytest.fixture(scope="module")
def champion(stack: Stack) -> Stack:
    """The stack, with a network that was trained against its server as the champion."""
    done = Program(stack.folder)("tracking=server", *MODEL, MLFLOW_TRACKING_URI=stack.mlflow)
    assert done.returncode == 0, done.stderr[-4000:]
    MlflowClient(stack.mlflow).set_registered_model_alias("digits", "champion", "1")
    until(lambda: answers(stack.service), 120)  # the container is started again meanwhile
    return stack


def answers(service: Service) -> bool:
    try:
        return service.ask("/readyz")[0] == 200
    except OSError:
        return False


def test_up_tells_the_addresses(stack: Stack) -> None:
    assert stack.service.address in stack.told and stack.mlflow in stack.told


def test_service_says_what_it_waits_for(stack: Stack) -> None:
    until(lambda: "digits@champion cannot be had" in stack.script("compose", "logs", "service"))


def test_champion_is_pulled_and_answers(champion: Stack) -> None:
    status, body = champion.service.ask("/v1/predict", BLANK)
    assert status == 200 and json.loads(body)["version"] == "digits/1"


def test_moved_alias_is_followed_without_a_restart(champion: Stack) -> None:
    before = champion.container("service")
    models = Models(Program(champion.folder))
    models.tracking = Tracking(uri=champion.mlflow)
    models.add()
    try:
        models.crown(2)
        until(lambda: champion.service.version() == "digits/2", 30)
    finally:
        models.crown(1)
    until(lambda: champion.service.version() == "digits/1", 30)
    assert champion.container("service") == before


def test_artifacts_lie_in_the_object_store_and_runs_in_postgresql(champion: Stack) -> None:
    listing = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:9000/digits').read())"
    assert "/bundle/model.onnx" in champion.inside("s3", "python", "-c", listing)
    asked = "SELECT count(*) FROM model_versions"
    psql = ("psql", "-h", "/tmp", "-U", "digits", "-At")
    assert int(champion.inside("postgres", *psql, "-d", "mlflow", "-c", asked)) >= 1


def test_predictions_are_kept_in_postgresql(champion: Stack) -> None:
    champion.service.ask("/v1/predict", BLANK)
    psql = ("psql", "-h", "/tmp", "-U", "digits", "-At", "-d", "traffic", "-c")
    until(
        lambda: int(champion.inside("postgres", *psql, "SELECT count(*) FROM predictions")) > 0, 30
    )


def test_prometheus_counts_and_its_dashboard_shows_it(champion: Stack) -> None:
    before = champion.service.metric("digits_predictions_total")
    for _ in range(20):
        champion.service.ask("/v1/predict", BLANK)
    until(lambda: champion.value("digits_predictions_total") == before + 20, 30)
    assert champion.value('up{job="digits"}') == 1
    until(lambda: champion.value("digits:predictions:rate1m") > 0, 60)
    page = champion.prometheus("consoles/digits.html")
    assert "<td>digits/1</td>" in page and "Requests a second" in page
    groups = champion.prometheus("api/v1/rules")["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) == 16 and {rule["health"] for rule in rules} == {"ok"}
    file = ROOT / "docker" / "stack" / "grafana" / "dashboards" / "digits.json"
    for panel in json.loads(file.read_text(encoding="utf-8"))["panels"]:
        for each in panel["targets"]:  # a query that Prometheus cannot read would raise
            champion.prometheus("api/v1/query", query=each["expr"])


def test_alarms_are_raised_for_what_they_say(stack: Stack) -> None:
    command = "cat >/tmp/alarms.yml && promtool test rules /tmp/alarms.yml"
    container = stack.container("prometheus")
    with (Path(__file__).parent / "alarms.yml").open("rb") as cases:
        told = stack.engine.run("exec", "-i", container, "sh", "-c", command, stdin=cases)
    assert "SUCCESS" in told


def test_redis_and_postgresql_ask_for_the_password_of_this_start(stack: Stack) -> None:
    ping = ("redis-cli", "-h", "redis", "ping")
    assert "NOAUTH" in stack.inside("redis", "env", "--unset=REDISCLI_AUTH", *ping)
    assert stack.inside("redis", *ping) == "PONG"
    psql = ["psql", "postgresql://digits@postgres/mlflow", "-c", "SELECT 1"]
    with pytest.raises(DeploymentError, match="password authentication failed"):
        stack.inside("postgres", "env", "PGPASSWORD=wrong", *psql)
    assert "(1 row)" in stack.inside("postgres", *psql)


def test_containers_are_shut_in(stack: Stack) -> None:
    for name in RUNNING:
        found = stack.engine.inspect("container", stack.container(name))
        assert found is not None
        assert found["Config"]["User"] == "10001:10001", name
        assert found["HostConfig"]["ReadonlyRootfs"] is True, name
        assert found["HostConfig"]["CapDrop"] == ["ALL"], name
        bound = [
            each for ports in found["NetworkSettings"]["Ports"].values() for each in ports or []
        ]
        assert all(each["HostIp"] == "127.0.0.1" for each in bound), name


def test_up_again_changes_nothing_and_a_new_start_keeps_what_was_recorded(champion: Stack) -> None:
    before = sorted(champion.ids())
    assert champion.script("up") == champion.told
    assert sorted(champion.ids()) == before
    password = champion.inside("postgres", "printenv", "PGPASSWORD")
    champion.script("down")
    assert champion.ids() == []
    champion.script("up")
    assert champion.inside("postgres", "printenv", "PGPASSWORD") != password
    client = MlflowClient(champion.mlflow)
    assert client.get_model_version_by_alias("digits", "champion").version == "1"


def test_down_leaves_nothing(stack: Stack) -> None:
    began = time.monotonic()
    stack.script("down", "--volumes")
    assert time.monotonic() - began < 60
    for kind in ("container", "network", "volume"):
        listed = ["ls", "--quiet", f"--filter={stack.label}"]
        assert stack.engine.run(kind, *listed, *(["--all"] if kind == "container" else [])) == ""
