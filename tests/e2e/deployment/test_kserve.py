"""`deployment=kserve` by the real kubectl, before an API that keeps what it is given.

No cluster can be had here. The pods are real: the service's own container entry, with the
environment of the manifest.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from digits.contract.manifest import ONNX, sha256_of
from digits.deployment.kubernetes.target import Kubernetes
from digits.deployment.ledger import LEDGER
from digits.deployment.target import Order
from digits.errors import DeploymentError
from tests.e2e.deployment.cluster import FakeCluster, fake_cluster, require_kubectl
from tests.e2e.deployment.conformance import ONE, check

pytestmark = [pytest.mark.service, pytest.mark.timeout(300)]

OCTETS = "application/octet-stream"

Make = Callable[..., Kubernetes]


@pytest.fixture
def cluster(
    bundles: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FakeCluster]:
    """A cluster that kubectl finds."""
    require_kubectl()
    with fake_cluster(tmp_path, {sha256_of(each / ONNX): each for each in bundles}) as cluster:
        monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
        yield cluster


@pytest.fixture
def target(tmp_path: Path) -> Make:
    """Make the target, as each command does."""

    def target(mode: str = "plain", **further: object) -> Kubernetes:
        values: dict[str, object] = {"image": "digits:1", "wait_seconds": 60, **further}
        folder = tmp_path / "deployments" / "target"
        return Kubernetes(folder=str(folder), mode=mode, **values)  # type: ignore[arg-type]

    return target


@pytest.mark.parametrize("mode", ["plain", "kserve"])
def test_conformance(
    cluster: FakeCluster,
    target: Make,
    mode: str,
    bundles: tuple[Path, Path],
    order: Callable[..., Order],
) -> None:
    first, second = (order(bundle, number) for number, bundle in enumerate(bundles, 1))
    # As a gateway has it; to start kubectl for each digit would take minutes.
    address = cluster.address_of("digits" if mode == "plain" else "digits-predictor")
    check(target(mode, address=address), first, second, anew=lambda: target(mode, address=address))
    assert not cluster.documents


def test_canary_gets_more_and_is_taken_back(
    cluster: FakeCluster, target: Make, bundles: tuple[Path, Path], order: Callable[..., Order]
) -> None:
    first, second = (order(bundle, number) for number, bundle in enumerate(bundles, 1))
    target("kserve").apply(first)
    target("kserve", canary_percent=10).apply(second)
    assert ("canary", "10% of the traffic") in target("kserve").status().rows
    steps = target("kserve").apply(second)
    assert [each.change for each in steps] == ["keep", "change"]
    assert "canary" not in dict(target("kserve").status().rows)
    target("kserve").rollback()
    assert target("kserve").status().version == "digits/1"
    assert len(list(target().folder.glob("*.yaml"))) == 2


def test_what_goes_wrong_in_a_cluster(
    cluster: FakeCluster, target: Make, bundles: tuple[Path, Path], order: Callable[..., Order]
) -> None:
    first, second = (order(bundle, number) for number, bundle in enumerate(bundles, 1))

    # The user may not make a part of it: nothing of the rest stays.
    cluster.refuse["PodDisruptionBudget"] = "digits is forbidden: User may not"
    with pytest.raises(DeploymentError, match=r"(?s)may not.*What it made was removed"):
        target().apply(first)
    assert not cluster.documents
    cluster.refuse.clear()

    # Something of that name is there, and not ours.
    foreign = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "digits"}}
    cluster.put(foreign)
    with pytest.raises(DeploymentError, match=r"Service digits is there already.*deployment\.name"):
        target().apply(first)
    assert cluster.documents == {("Service", "digits"): foreign}
    cluster.documents.clear()

    with pytest.raises(DeploymentError, match="kubectl create namespace elsewhere"):
        target(namespace="elsewhere").apply(first)

    cluster.lacks.add("serving.kserve.io/v1beta1")
    with pytest.raises(DeploymentError, match=r"no KServe.*deployment\.mode=plain"):
        target("kserve").apply(first)
    cluster.lacks.clear()

    # An attempt that was cut short, with everything applied: the next one waits for the pods.
    target().apply(first)
    (target().folder / LEDGER).write_text(
        json.dumps({**json.loads((target().folder / LEDGER).read_text()), "current": None})
    )
    cluster.asked.clear()
    assert {each.change for each in target().apply(first)} == {"keep"}
    assert "GET /apis/apps/v1/namespaces/default/deployments" in cluster.asked

    # Pods of the next version do not get ready: the one before is back.
    cluster.ready = False
    with pytest.raises(
        DeploymentError, match=r"(?s)The version before was applied again.*describe"
    ):
        target(wait_seconds=2).apply(second)
    cluster.ready = True
    assert target().ask(ONE, OCTETS).content["version"] == "digits/1"
    assert target().status().version == "digits/1"

    # Another mode: what it does not have any more is removed.
    steps = target("kserve").apply(first)
    assert {each.what for each in steps if each.change == "remove"} >= {"Deployment digits"}
    assert set(cluster.documents) == {("ServiceAccount", "digits"), ("InferenceService", "digits")}
    assert target("kserve").ask(ONE, OCTETS).content["version"] == "digits/1"
    assert cluster.asked[-1] == "POST digits-predictor"
    assert target("kserve").destroy()
    assert not cluster.documents


def test_without_a_cluster_the_manifests_are_written_and_nothing_else(
    target: Make,
    bundles: tuple[Path, Path],
    order: Callable[..., Order],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    require_kubectl()
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    first = order(bundles[0], 1)
    assert {each.change for each in target().plan(first)} == {"create"}
    with pytest.raises(DeploymentError, match=r"(?s)No cluster answers.*The manifests are in"):
        target().apply(first)
    (file,) = target().folder.glob("digits-1-*.yaml")
    assert "kind: Deployment" in file.read_text()
    assert [each.what for each in target().destroy()] == [f"manifests {file.name}"]
    assert not target().folder.exists()
