"""The manifests of a version: plain Kubernetes, or KServe's InferenceService.

Field names and meanings: Kubernetes API reference (apps/v1, autoscaling/v2, policy/v1,
networking.k8s.io/v1) and KServe API reference (serving.kserve.io/v1beta1).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, Literal
from urllib.parse import urlsplit

import yaml  # type: ignore[import-untyped]

from digits.deployment.kubernetes.pod import (
    DRAIN_SECONDS,
    PORT,
    Document,
    Shape,
    container,
    in_cluster,
    probe,
    volumes,
)
from digits.deployment.target import Order
from serving.settings import Settings

Mode = Literal["kserve", "plain"]

MANAGED, VERSION = "app.kubernetes.io/managed-by", "digits/version"
CONTENT = "digits/content"  # digest of what was rendered: the same needs no change
OWNER = "digits/owner"  # id of the deployment that made it; nobody else changes or removes it
DEFAULT_PORTS = {"http": 80, "https": 443, "postgresql": 5432, "postgresql+psycopg": 5432}
BUSY_PERCENT = 70  # of the cpu asked for, on average: from there on pods are added


def render(mode: Mode, shape: Shape, order: Order) -> list[Document]:
    """Return all documents, in the order in which they are to be made."""
    documents = [_account(shape)]
    documents += [_inference_service(shape, order)] if mode == "kserve" else _plain(shape, order)
    for document in documents:
        metadata = document["metadata"]
        metadata["namespace"] = shape.namespace
        metadata["labels"] = {**shape.selector, MANAGED: "digits"}
        content = hashlib.sha256(dump([document]).encode()).hexdigest()
        metadata["annotations"] = {**metadata.get("annotations", {}), CONTENT: content}
    return documents


def dump(documents: list[Document]) -> str:
    """Return documents as YAML, as `kubectl apply -f` takes them."""
    return yaml.safe_dump_all(documents, sort_keys=False, width=100)


def _account(shape: Shape) -> Document:
    """Return an account that may do nothing, whose token no pod is given."""
    found: Document = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": shape.name},
        "automountServiceAccountToken": False,
    }
    if shape.pull_secret:
        found["imagePullSecrets"] = [{"name": shape.pull_secret}]
    return found


def _inference_service(shape: Shape, order: Order) -> Document:
    """Return KServe's own resource, of which it makes all others.

    Only fields that Knative lets through by default: what is for the pod stands in the container.
    """
    main = container(shape, order, name="kserve-container")
    main["env"].append({"name": "PROTOCOL", "value": "v2"})  # KServe reads it of custom containers
    main["readinessProbe"] = probe("/v2/health/ready", every=5, failures=3)
    main["livenessProbe"] = probe("/v2/health/live", every=10, failures=3)
    fewest, most = shape.replicas
    predictor: Document = {
        "minReplicas": fewest,
        "maxReplicas": most,
        "scaleMetric": "cpu",
        "scaleTarget": BUSY_PERCENT,
        "timeout": round(order.settings.limits.request_seconds) + DRAIN_SECONDS,
        "serviceAccountName": shape.name,
        "containers": [main],
        "volumes": volumes(),
    }
    if shape.canary_percent is not None:
        predictor["canaryTrafficPercent"] = shape.canary_percent
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": shape.name, "annotations": {VERSION: order.model.version}},
        "spec": {"predictor": predictor},
    }


def _plain(shape: Shape, order: Order) -> list[Document]:
    return [
        _document("networking.k8s.io/v1", "NetworkPolicy", shape, _network(shape, order.settings)),
        _document("v1", "Service", shape, _service(shape)),
        _deployment(shape, order),
        _document("autoscaling/v2", "HorizontalPodAutoscaler", shape, _autoscaler(shape)),
        _document("policy/v1", "PodDisruptionBudget", shape, _budget(shape)),
    ]


def _document(version: str, kind: str, shape: Shape, spec: Document) -> Document:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": shape.name}, "spec": spec}


def _deployment(shape: Shape, order: Order) -> Document:
    main = container(shape, order, name="digits")
    main["startupProbe"] = probe("/readyz", every=2, failures=60)  # a model may have to be pulled
    main["readinessProbe"] = probe("/readyz", every=5, failures=3)
    main["livenessProbe"] = probe("/healthz", every=10, failures=3)
    main["lifecycle"] = {"preStop": {"exec": {"command": ["sleep", str(DRAIN_SECONDS)]}}}
    grace = round(order.settings.limits.drain_seconds) + DRAIN_SECONDS + 5
    spec = {
        # No number of replicas: that is the autoscaler's.
        "revisionHistoryLimit": 3,
        "selector": {"matchLabels": shape.selector},
        "strategy": {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
        },
        "template": {
            "metadata": {
                "labels": shape.selector,
                "annotations": {
                    VERSION: order.model.version,
                    "prometheus.io/scrape": "true",
                    "prometheus.io/path": "/metrics",
                    "prometheus.io/port": str(PORT),
                },
            },
            "spec": {
                "serviceAccountName": shape.name,
                "automountServiceAccountToken": False,
                "enableServiceLinks": False,
                "terminationGracePeriodSeconds": grace,
                "topologySpreadConstraints": [
                    {
                        "maxSkew": 1,
                        "topologyKey": "kubernetes.io/hostname",
                        "whenUnsatisfiable": "ScheduleAnyway",
                        "labelSelector": {"matchLabels": shape.selector},
                    }
                ],
                "containers": [main],
                "volumes": volumes(),
            },
        },
    }
    document = _document("apps/v1", "Deployment", shape, spec)
    document["metadata"]["annotations"] = {VERSION: order.model.version}
    return document


def _service(shape: Shape) -> Document:
    port = {"name": "http", "port": 80, "targetPort": PORT, "protocol": "TCP"}
    return {"type": "ClusterIP", "selector": shape.selector, "ports": [port]}


def _autoscaler(shape: Shape) -> Document:
    fewest, most = shape.replicas
    target = {"type": "Utilization", "averageUtilization": BUSY_PERCENT}
    return {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": shape.name},
        "minReplicas": fewest,
        "maxReplicas": most,
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
    }


def _budget(shape: Shape) -> Document:
    return {"maxUnavailable": 1, "selector": {"matchLabels": shape.selector}}


def _network(shape: Shape, settings: Settings) -> Document:
    """Let in who may ask, and out only to what the settings name."""
    names = [{"namespaceSelector": _named(each)} for each in shape.clients]
    ports = [{"port": PORT, "protocol": "TCP"}]
    outward: list[Document] = []
    if wanted := sorted(set(_ports_of(shape, settings))):
        names_service = [{"port": 53, "protocol": each} for each in ("UDP", "TCP")]
        outward = [
            {"to": [{"namespaceSelector": _named("kube-system")}], "ports": names_service},
            {"ports": [{"port": each, "protocol": "TCP"} for each in wanted]},
        ]
    return {
        "podSelector": {"matchLabels": shape.selector},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": [{"podSelector": {}}, *names], "ports": ports}],
        "egress": outward,
    }


def _named(namespace: str) -> Document:
    return {"matchLabels": {"kubernetes.io/metadata.name": namespace}}


def _ports_of(shape: Shape, settings: Settings) -> Iterator[int]:
    own = in_cluster(settings)
    for url in (shape.models, own.traffic.url, own.otlp, own.features):
        if url:
            parts: Any = urlsplit(url)
            yield parts.port or DEFAULT_PORTS[parts.scheme]
