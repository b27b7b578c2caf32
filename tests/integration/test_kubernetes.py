"""Manifests for Kubernetes: right by the official schemas, hardened; and without a cluster."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import referencing
from kubernetes_validate.utils import schema_contents

from digits.contract.manifest import ONNX
from digits.contract.pointer import Pointed, Pointer
from digits.deployment.kubernetes.manifests import dump, render
from digits.deployment.kubernetes.pod import Shape, in_cluster
from digits.deployment.kubernetes.target import Kubernetes
from digits.deployment.resolve import Watch
from digits.deployment.target import Order
from digits.errors import ConfigError, DeploymentError
from serving.container import settings_of
from serving.settings import Settings

INFERENCE_SERVICE = Path(__file__).with_name("schemas") / "inference_service.json"
VERSIONS = ("1.29", kubernetes_validate.latest_version())  # one of years ago, and the newest
SHAPE = Shape(
    name="digits",
    namespace="ml",
    image="registry.example.com/digits:{number}",
    models="http://mlflow:5000",
    secret="digits-keys",
    pull_secret="registry",
    replicas=(2, 6),
    cpu="250m",
    memory="512Mi",
    canary_percent=None,
    clients=("web",),
)


def order(tmp_path, number=3, **settings):
    pointer = tmp_path / "pointer.json"
    model = Pointed(name="digits", number=number, folder=tmp_path, onnx_sha256="a" * 64)
    watch = Watch(pointer=pointer, tracking_uri="sqlite:///x", version="3", cache=tmp_path)
    return Order(Settings(pointer=pointer, **settings), watch, Pointer(champion=model))


@pytest.fixture
def plain(tmp_path):
    return {each["kind"]: each for each in render("plain", SHAPE, order(tmp_path))}


@pytest.fixture
def inference_service(tmp_path):
    return render("kserve", SHAPE, order(tmp_path))[1]


def hold_against_kserve(document):
    """Validate by KServe's schema; what is Kubernetes' own in it, by Kubernetes' newest."""
    version = kubernetes_validate.latest_version()
    folder = next(
        each.name
        for each in (Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema").iterdir()
        if each.name.startswith(f"v{version}") and each.name.endswith("-strict")
    )
    definitions = schema_contents(f"kubernetes-json-schema/{folder}/_definitions.json", version)
    registry = referencing.Resource.from_contents(definitions) @ referencing.Registry()
    schema = json.loads(INFERENCE_SERVICE.read_text())
    jsonschema.Draft202012Validator(schema, registry=registry).validate(document)


@pytest.mark.parametrize("version", VERSIONS)
def test_plain_manifests_are_right_by_the_schemas_of_kubernetes(plain, version):
    assert set(plain) == {
        "Deployment",
        "HorizontalPodAutoscaler",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "Service",
        "ServiceAccount",
    }
    for document in plain.values():
        kubernetes_validate.validate(document, version, strict=True)


def test_schemas_of_kubernetes_refuse_what_is_misspelt(plain):
    (container,) = plain["Deployment"]["spec"]["template"]["spec"]["containers"]
    container["securityContext"]["readOnlyRootFileSystem"] = True
    with pytest.raises(kubernetes_validate.ValidationError, match="readOnlyRootFileSystem"):
        kubernetes_validate.validate(plain["Deployment"], VERSIONS[1], strict=True)


@pytest.mark.parametrize("percent", [None, 10])
def test_inference_service_is_right_by_the_schema_of_kserve(tmp_path, percent):
    shape = SHAPE.__class__(**{**SHAPE.__dict__, "canary_percent": percent})
    account, service = render("kserve", shape, order(tmp_path))
    kubernetes_validate.validate(account, VERSIONS[0], strict=True)
    hold_against_kserve(service)
    predictor = service["spec"]["predictor"]
    assert predictor.get("canaryTrafficPercent") == percent
    (container,) = predictor["containers"]
    assert {"name": "PROTOCOL", "value": "v2"} in container["env"]
    assert container["readinessProbe"]["httpGet"]["path"] == "/v2/health/ready"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda predictor: predictor.update(canaryPercent=10),
        lambda predictor: predictor.update(minReplicas="two"),
        lambda predictor: predictor["containers"][0].update(prots=[]),
    ],
)
def test_schema_of_kserve_refuses_what_is_misspelt(inference_service, spoil):
    spoil(inference_service["spec"]["predictor"])
    with pytest.raises(jsonschema.ValidationError):
        hold_against_kserve(inference_service)


def test_containers_may_do_nothing_but_answer(plain, inference_service):
    pod = plain["Deployment"]["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    for container in (*pod["containers"], *inference_service["spec"]["predictor"]["containers"]):
        context = container["securityContext"]
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert context["runAsNonRoot"] and context["readOnlyRootFilesystem"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["resources"]["limits"]["memory"] == "512Mi"
        assert container["envFrom"] == [{"secretRef": {"name": "digits-keys"}}]
        assert container["image"] == "registry.example.com/digits:3"


def test_no_secret_of_the_environment_is_written(tmp_path, monkeypatch):
    monkeypatch.setenv("DIGITS_API_KEYS", "fort-knox")
    monkeypatch.setenv("PGPASSWORD", "hunter2")
    for mode in ("plain", "kserve"):
        written = dump(render(mode, SHAPE, order(tmp_path)))
        assert "fort-knox" not in written and "hunter2" not in written


def test_container_reads_the_settings_that_were_ordered(plain, tmp_path):
    """The variables of the manifest, read by what the container starts."""
    given = order(
        tmp_path,
        workers=3,
        limits={"rate": 50.0, "batch": 7},
        traffic={"url": "postgresql://digits@db/traffic"},
    )
    deployment = render("plain", SHAPE, given)[3]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    environment = {each["name"]: each["value"] for each in container["env"]}
    assert environment.pop("DIGITS_MODEL") == "http://mlflow:5000/digits/3"
    found = settings_of({**environment, "DIGITS_MODEL": str(tmp_path)}, tmp_path)
    own = {"pointer": found.pointer, "host": found.host, "port": found.port}
    assert found == given.settings.model_copy(update={**own, "deployment": "kserve"})


@pytest.mark.parametrize("mode", ["plain", "kserve"])
def test_another_command_changes_nothing(tmp_path, mode):
    """Each gives its settings an id of its own."""
    given = [order(tmp_path, deployment=f"kserve-20261126-{each}") for each in (1, 2)]
    first, second = (render(mode, SHAPE, each) for each in given)
    assert first == second


def test_file_of_this_machine_is_no_store_of_a_pod(tmp_path):
    settings = order(tmp_path, traffic={"url": f"sqlite:///{tmp_path}/traffic.db"}).settings
    assert in_cluster(settings).traffic.url is None


def test_pods_reach_what_the_settings_name_and_nothing_else(tmp_path):
    given = order(
        tmp_path, traffic={"url": "postgresql://digits@db/traffic"}, otlp="https://otel:4318"
    )
    policy = render("plain", SHAPE, given)[1]["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    names, ours = policy["egress"]
    assert {each["port"] for each in names["ports"]} == {53}
    assert [each["port"] for each in ours["ports"]] == [4318, 5000, 5432]
    alone = SHAPE.__class__(**{**SHAPE.__dict__, "models": None})
    assert render("plain", alone, order(tmp_path))[1]["spec"]["egress"] == []


def test_another_version_changes_the_deployment_alone(tmp_path):
    shape = SHAPE
    first, second = (render("plain", shape, order(tmp_path, number=each)) for each in (1, 2))
    changed = [a["kind"] for a, b in zip(first, second, strict=True) if a != b]
    assert changed == ["Deployment"]


def target(tmp_path, **further):
    given = {"mode": "plain", "image": "digits:1", "folder": str(tmp_path / "deployed"), **further}
    return Kubernetes(**given)


@pytest.mark.parametrize(
    ("further", "key"),
    [
        ({"min_replicas": 9}, "max_replicas"),
        ({"canary_percent": 10}, "canary_percent"),
    ],
)
def test_values_that_do_not_go_together_are_told_by_their_key(tmp_path, further, key):
    with pytest.raises(ConfigError, match=f"deployment.{key}"):
        target(tmp_path, **further)


def test_version_that_no_pod_can_pull_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"deployment\.models.*not registered"):
        target(tmp_path, models="http://mlflow:5000").plan(order(tmp_path, number=None))


def test_without_kubectl_the_message_says_where_it_is_had(make, tmp_path, monkeypatch):
    make(tmp_path / "bundle")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DeploymentError, match="needs kubectl"):
        target(tmp_path).apply(order(tmp_path / "bundle"))


def test_bundle_without_onnx_is_told_before_anything_is_done(make, tmp_path):
    manifest = make(tmp_path / "bundle")
    files = {name: digest for name, digest in manifest.files.items() if name != ONNX}
    manifest.model_copy(update={"files": files}).write(tmp_path / "bundle")
    with pytest.raises(DeploymentError, match=r"has no model\.onnx"):
        target(tmp_path).apply(order(tmp_path / "bundle"))
    assert not (tmp_path / "deployed").exists()
