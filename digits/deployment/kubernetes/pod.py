"""The container that answers, hardened, as both kinds of manifests have it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from digits.contract.pointer import Pointed
from digits.deployment.target import Order
from serving.environment import as_environment, digests_of
from serving.settings import Settings

Document = dict[str, Any]

ID = "kserve"  # of the deployment, kept with every prediction
PORT = 8000  # of the image
USER = 10001  # of the image
DRAIN_SECONDS = 5  # until every proxy of the cluster has heard that a pod is going


@dataclass(frozen=True)
class Shape:
    """What does not depend on the version.

    Attributes:
        name: of everything that is made.
        namespace: that it is made in.
        image: as the cluster pulls it; ``{number}`` stands for the version's number.
        models: http(s) address of the MLflow server that a pod pulls its version from; None: the
            model is in the image.
        secret: name of a Secret whose entries are the pod's environment, such as
            ``DIGITS_API_KEYS``; None: there is none.
        pull_secret: name of a Secret that opens the image's registry; None: it is open.
        replicas: fewest and most pods.
        cpu, memory: that a pod asks for; of memory it gets no more.
        canary_percent: of the traffic that a new version gets at first (KServe); None: all.
        clients: namespaces whose pods may ask (plain); this one's always may.
    """

    name: str
    namespace: str
    image: str
    models: str | None
    secret: str | None
    pull_secret: str | None
    replicas: tuple[int, int]
    cpu: str
    memory: str
    canary_percent: int | None
    clients: tuple[str, ...]

    def image_of(self, model: Pointed) -> str:
        """Return the image that answers from a version."""
        return self.image.replace("{number}", str(model.number))

    @property
    def selector(self) -> dict[str, str]:
        """The labels by which its pods are found."""
        return {"app.kubernetes.io/name": "digits", "app.kubernetes.io/instance": self.name}


def in_cluster(settings: Settings) -> Settings:
    """Return what of the settings holds in a pod.

    A file would be gone with it; and an id of each command's own would change every pod each time.
    """
    url, changes = settings.traffic.url, {"deployment": ID}
    if url is None or url.startswith("postgresql"):
        return settings.model_copy(update=changes)
    traffic = settings.traffic.model_copy(update={"url": None})
    return settings.model_copy(update={**changes, "traffic": traffic})


def container(shape: Shape, order: Order, *, name: str) -> Document:
    """Return the container, without probes and what else the two kinds have each for itself."""
    found: Document = {
        "name": name,
        "image": shape.image_of(order.model),
        "ports": [{"containerPort": PORT, "name": "http1", "protocol": "TCP"}],
        "env": _variables(shape, order),
        "resources": {
            # No limit of cpu: it would slow answers down while cores lie idle.
            "requests": {"cpu": shape.cpu, "memory": shape.memory},
            "limits": {"memory": shape.memory},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsGroup": USER,
            "runAsNonRoot": True,
            "runAsUser": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }
    if shape.secret:
        found["envFrom"] = [{"secretRef": {"name": shape.secret}}]
    return found


def volumes() -> list[Document]:
    """Return the one place that can be written to."""
    return [{"name": "tmp", "emptyDir": {"sizeLimit": "256Mi"}}]


def probe(path: str, *, every: int, failures: int) -> Document:
    """Return a probe by HTTP."""
    return {
        "httpGet": {"path": path, "port": PORT},
        "periodSeconds": every,
        "timeoutSeconds": 2,
        "failureThreshold": failures,
    }


def _variables(shape: Shape, order: Order) -> list[Document]:
    model = order.model
    values = as_environment(in_cluster(order.settings))
    values |= digests_of(model)
    if shape.models:
        values["DIGITS_MODEL"] = f"{shape.models.rstrip('/')}/{model.name}/{model.number}"
    if model.number is not None:
        values["DIGITS_MODEL_VERSION"] = model.version
    return [{"name": name, "value": values[name]} for name in sorted(values)]
