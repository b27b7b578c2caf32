"""From manifests to resources of a cluster, each written down before it is made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from digits.deployment.kubernetes.cluster import Cluster
from digits.deployment.kubernetes.manifests import CONTENT, MANAGED
from digits.deployment.kubernetes.pod import Document
from digits.deployment.ledger import Ledger, Resource
from digits.deployment.target import Step
from digits.errors import DeploymentError

FILE = "manifests"  # kind in the ledger of a file of ours; every other kind is the cluster's
MAIN = ("InferenceService", "Deployment")  # kinds that are waited for, and asked how it stands


def what(document: Document) -> str:
    """Return kind and name."""
    return f"{document['kind']} {document['metadata']['name']}"


def resource_of(document: Document) -> str:
    """Return what kubectl calls it, for example ``deployment.apps/digits``."""
    group, slash, _ = document["apiVersion"].rpartition("/")
    return f"{document['kind'].lower()}{'.' if slash else ''}{group}/{document['metadata']['name']}"


def steps(cluster: Cluster, documents: Sequence[Document], ledger: Ledger) -> list[Step]:
    """Hold documents against what is there.

    Raises:
        DeploymentError: something of that name is not ours, or the cluster refuses to tell.
    """
    found = [_step(cluster, each) for each in documents]
    wanted = {what(each) for each in documents}
    gone = [each for each in ledger.resources if _is_gone(each, wanted)]
    return found + [Step("remove", f"{each.kind} {each.name}") for each in gone]


def _is_gone(resource: Resource, wanted: set[str]) -> bool:
    return resource.kind != FILE and f"{resource.kind} {resource.name}" not in wanted


def _step(cluster: Cluster, document: Document) -> Step:
    present = cluster.find(resource_of(document))
    if present is None:
        return Step("create", what(document), f"in {cluster.namespace}")
    metadata = present["metadata"]
    if metadata.get("labels", {}).get(MANAGED) != "digits":
        raise DeploymentError(
            f"{what(document)} is there already in {cluster.namespace}, and not ours: choose "
            f"another deployment.name"
        )
    same = metadata.get("annotations", {}).get(CONTENT)
    if same == document["metadata"]["annotations"][CONTENT]:
        return Step("keep", what(document), "as ordered")
    return Step("change", what(document), f"in {cluster.namespace}")


def put_out(
    cluster: Cluster,
    documents: Sequence[Document],
    *,
    file: Path,
    before: Path | None,
    ledger: Ledger,
    seconds: float,
) -> None:
    """Apply documents, wait for their pods, and remove what is no longer among them.

    Args:
        cluster: to apply them to.
        documents: all of them.
        file: holds the same.
        before: holds those that are out; None: none are.
        ledger: lists what was made.
        seconds: for the pods to be ready.

    Raises:
        DeploymentError: the cluster refuses, or the pods do not get ready; it is as before then.
    """
    for each in documents:
        context = {"context": cluster.context} if cluster.context else {}
        facts = {"resource": resource_of(each), "namespace": cluster.namespace, **context}
        ledger.making(each["kind"], each["metadata"]["name"], **facts)
    (main,) = (each for each in documents if each["kind"] in MAIN)
    try:
        cluster.apply(file.read_text(encoding="utf-8"))
        cluster.wait(resource_of(main), seconds)
    except DeploymentError as error:
        done = _take_back(cluster, before, ledger, seconds)
        look = f"kubectl --namespace {cluster.namespace} describe pods"
        raise DeploymentError(f"{error}\n{done}. To see why: {look}") from error
    wanted = {what(each) for each in documents}
    for resource in [each for each in ledger.resources if _is_gone(each, wanted)]:
        remove(resource, seconds)
        ledger.gone(resource)


def _take_back(cluster: Cluster, before: Path | None, ledger: Ledger, seconds: float) -> str:
    try:
        if before is not None:
            cluster.apply(before.read_text(encoding="utf-8"))
            return "The version before was applied again"
        for resource in ledger.resources[::-1]:
            if resource.kind != FILE:
                remove(resource, seconds)
                ledger.gone(resource)
    except DeploymentError as error:
        return f"What it made could not be taken back ({error}): action=destroy removes it"
    return "What it made was removed"


def readiness(main: Resource, state: Document) -> str:
    """Say how many pods of a Deployment are ready, or whether an InferenceService is."""
    if main.kind == "Deployment":
        return f"{state.get('readyReplicas', 0)} of {state.get('replicas', 0)} pods"
    conditions = {each["type"]: each["status"] for each in state.get("conditions", ())}
    return "yes" if conditions.get("Ready") == "True" else "not yet"


def remove(resource: Resource, seconds: float) -> None:
    """Remove from its cluster what the ledger lists.

    Raises:
        DeploymentError: no cluster answers, or it refuses.
    """
    cluster = Cluster(resource.facts["namespace"], resource.facts.get("context"))
    cluster.delete(resource.facts["resource"], seconds)
