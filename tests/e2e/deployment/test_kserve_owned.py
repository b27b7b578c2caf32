"""`deployment=kserve` leaves nothing of its own behind in a cluster, and takes nothing of others.

By the real kubectl, before an API that keeps what it is given; no pod is run.
"""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from digits.deployment.kubernetes.cluster import Cluster
from digits.deployment.kubernetes.release import FILE
from digits.deployment.kubernetes.target import Kubernetes
from digits.deployment.ledger import Resource
from digits.deployment.target import Order
from digits.errors import DeploymentError
from tests.e2e.deployment.cluster import FakeCluster, require_kubectl
from tests.e2e.deployment.cluster_api import Document

pytestmark = [pytest.mark.service, pytest.mark.timeout(120)]

Make = Callable[..., Kubernetes]

KSERVE = {"ServiceAccount", "InferenceService"}


class Podless(FakeCluster):
    def _run(self, kind: str, container: Document) -> None:
        """Run nothing."""

    @property
    def names(self) -> set[str]:
        return {f"{kind} {name}" for kind, name in self.documents}


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Podless]:
    require_kubectl()
    cluster = Podless(tmp_path, {})
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
    yield cluster
    cluster.close()


@pytest.fixture
def target(tmp_path: Path) -> Make:
    def target(mode: str = "plain", folder: str = "target", **further: object) -> Kubernetes:
        values: dict[str, object] = {"image": "digits:1", "wait_seconds": 2, **further}
        place = str(tmp_path / "deployments" / folder)
        return Kubernetes(folder=place, mode=mode, **values)  # type: ignore[arg-type]

    return target


@pytest.fixture
def orders(bundles: tuple[Path, Path], order: Callable[..., Order]) -> tuple[Order, Order]:
    return order(bundles[0], 1), order(bundles[1], 2)


def made(target: Kubernetes) -> list[Resource]:
    return [each for each in target.ledger.resources if each.kind != FILE]


def listed(target: Kubernetes) -> set[str]:
    return {f"{each.kind} {each.name}" for each in made(target)}


def test_rollback_removes_what_the_version_before_does_not_have(
    cluster: Podless, target: Make, orders: tuple[Order, Order]
) -> None:
    target().apply(orders[0])
    plain = cluster.names
    target("kserve", name="other").apply(orders[1])
    assert cluster.names == {f"{kind} other" for kind in KSERVE}
    steps = target("kserve", name="other").rollback()
    assert {each.what for each in steps if each.change == "create"} == plain
    assert cluster.names == listed(target()) == plain
    assert target().status().version == "digits/1"
    assert target().destroy()
    assert not cluster.documents


def test_switch_of_the_mode_that_fails_leaves_nothing(
    cluster: Podless, target: Make, orders: tuple[Order, Order]
) -> None:
    target().apply(orders[0])
    plain = cluster.names
    cluster.ready = False
    with pytest.raises(DeploymentError, match="The version before was applied again"):
        target("kserve").apply(orders[1])
    assert cluster.names == listed(target()) == plain
    assert target().status().version == "digits/1"


def test_attempt_that_was_killed_leaves_a_status(
    cluster: Podless, target: Make, orders: tuple[Order, Order]
) -> None:
    """Two kinds that are waited for are in the ledger then."""
    target().apply(orders[0])
    (known,) = (each for each in made(target()) if each.kind == "Deployment")
    target().ledger.making("InferenceService", "digits", **known.facts)
    assert target().status().version == "digits/1"


def test_another_place_is_refused_while_the_deployment_is_out(
    cluster: Podless, target: Make, orders: tuple[Order, Order]
) -> None:
    target().apply(orders[0])
    before = made(target())
    with pytest.raises(DeploymentError, match=r"deployment\.namespace.* is in default, not in ml"):
        target(namespace="ml").apply(orders[0])
    with pytest.raises(DeploymentError, match=r"deployment\.context.* is in fake, not in far"):
        target(context="far").plan(orders[0])
    # The user's present context is another one by now.
    config = cluster.kubeconfig
    config.write_text(config.read_text().replace("current-context: fake", "current-context: far"))
    with pytest.raises(DeploymentError, match=r"deployment\.context.* is in fake, not in far"):
        target().apply(orders[0])
    assert made(target()) == before
    assert target().destroy()
    assert not cluster.documents


def test_deployments_leave_each_other_alone(
    cluster: Podless, target: Make, orders: tuple[Order, Order]
) -> None:
    target().apply(orders[0])
    names, second = cluster.names, target(folder="second")
    with pytest.raises(DeploymentError, match=r"there already.*not ours.*deployment\.name"):
        second.apply(orders[1])
    # Written down and cut short before it was made; meanwhile the other one has made it.
    facts = {"resource": "service/digits", "namespace": "default", "context": "fake"}
    second.ledger.making("Service", "digits", owner="second", **facts)
    assert second.destroy()
    assert cluster.names == names
    assert {each.change for each in target().apply(orders[0])} == {"keep"}


def test_way_through_the_api_is_for_that_service_alone(cluster: Podless) -> None:
    with Cluster("default", None).reaching("digits:80", "/v1/predict") as address:
        base = f"http://{urlsplit(address).netloc}"
        for path in ("/api/v1/namespaces/default", f"{urlsplit(address).path}/../../secrets"):
            with pytest.raises(urllib.error.HTTPError, match="403"):
                urllib.request.urlopen(base + path, timeout=10)
    assert not any(each.startswith("GET /api/v1/namespaces") for each in cluster.asked)
