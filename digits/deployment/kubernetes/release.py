"""From manifests to resources of a cluster, each written down before it is made."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from uuid import uuid4

import yaml  # type: ignore[import-untyped]

from digits.contract.files import write_atomically
from digits.deployment.kubernetes.cluster import Cluster
from digits.deployment.kubernetes.manifests import CONTENT, OWNER, dump
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


def load(file: Path) -> list[Document]:
    """Return the documents of a file of manifests.

    Raises:
        DeploymentError: it is gone.
    """
    try:
        return list(yaml.safe_load_all(file.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise DeploymentError(f"{file} is gone: action=apply writes it anew") from error


def main_of(documents: Sequence[Document]) -> Document:
    """Return the one document that is waited for."""
    (main,) = (each for each in documents if each["kind"] in MAIN)
    return main


def sign(documents: Sequence[Document], ledger: Ledger) -> None:
    """Note on documents by which id this deployment's objects are told from those of any other."""
    owner = next((each.facts["owner"] for each in ledger.resources), uuid4().hex)
    for each in documents:
        each["metadata"]["annotations"][OWNER] = owner


def write(folder: Path, documents: list[Document], version: str, ledger: Ledger) -> Path:
    """Keep signed documents of a version as a file of the folder."""
    content = dump(documents)
    digest = hashlib.sha256(content.encode()).hexdigest()
    name = f"{version.replace('/', '-')}-{digest[:12]}.yaml"
    ledger.making(FILE, name, owner=_annotations(documents[0])[OWNER])
    write_atomically(folder / name, content)
    return folder / name


def tidy(folder: Path, ledger: Ledger) -> None:
    """Remove the files of versions that are neither out nor to go back to."""
    kept = {each.facts[FILE] for each in (ledger.current, ledger.previous) if each}
    for resource in [each for each in ledger.resources if each.kind == FILE]:
        if resource.name not in kept:
            (folder / resource.name).unlink(missing_ok=True)
            ledger.gone(resource)


def check_place(cluster: Cluster, ledger: Ledger) -> None:
    """Hold a cluster against the one where the deployment is.

    Raises:
        DeploymentError: what the ledger lists is in another namespace or context.
    """
    typed = {"namespace": cluster.namespace, "context": cluster.context}
    for facts in (each.facts for each in ledger.resources if each.kind != FILE):
        for key, value in typed.items():
            if facts.get(key) != value:
                raise DeploymentError(
                    f"deployment.{key}: this deployment is in {facts.get(key)}, not in {value}: "
                    f"name that, or action=destroy first, or choose another deployment.folder"
                )


def steps(cluster: Cluster, documents: Sequence[Document], ledger: Ledger) -> list[Step]:
    """Hold documents against what is there.

    Raises:
        DeploymentError: something of that name is not ours, or the cluster refuses to tell.
    """
    found = [_step(cluster, each) for each in documents]
    gone = _others(documents, ledger)
    return found + [Step("remove", f"{each.kind} {each.name}") for each in gone]


def _others(documents: Sequence[Document], ledger: Ledger) -> list[Resource]:
    """Return what the ledger lists in the cluster and is not among the documents."""
    wanted = {what(each) for each in documents}
    made = (each for each in ledger.resources if each.kind != FILE)
    return [each for each in made if f"{each.kind} {each.name}" not in wanted]


def _step(cluster: Cluster, document: Document) -> Step:
    present = cluster.find(resource_of(document))
    if present is None:
        return Step("create", what(document), f"in {cluster.namespace}")
    known, wanted = _annotations(present), _annotations(document)
    if known.get(OWNER) != wanted[OWNER]:
        raise DeploymentError(
            f"{what(document)} is there already in {cluster.namespace}, and not ours: choose "
            f"another deployment.name"
        )
    if known.get(CONTENT) == wanted[CONTENT]:
        return Step("keep", what(document), "as ordered")
    return Step("change", what(document), f"in {cluster.namespace}")


def _annotations(document: Document) -> Mapping[str, str]:
    found: Mapping[str, str] = document["metadata"].get("annotations", {})
    return found


def put_out(
    cluster: Cluster, file: Path, *, before: Path | None, ledger: Ledger, seconds: float
) -> None:
    """Apply manifests, wait for their pods, and remove what is no longer among them.

    Args:
        cluster: to apply them to.
        file: of the manifests.
        before: file of those that are out; None: none are.
        ledger: lists what was made.
        seconds: for the pods to be ready.

    Raises:
        DeploymentError: the cluster refuses, or the pods do not get ready; it is as before then.
    """
    documents = load(file)
    context = {"context": cluster.context} if cluster.context else {}
    for each in documents:
        place = {"resource": resource_of(each), "namespace": cluster.namespace, **context}
        owner = _annotations(each)[OWNER]
        ledger.making(each["kind"], each["metadata"]["name"], owner=owner, **place)
    try:
        cluster.apply(file.read_text(encoding="utf-8"))
        cluster.wait(resource_of(main_of(documents)), seconds)
    except DeploymentError as error:
        done = _take_back(cluster, before, ledger, seconds)
        look = f"kubectl --namespace {cluster.namespace} describe pods"
        raise DeploymentError(f"{error}\n{done}. To see why: {look}") from error
    _remove_others(documents, ledger, seconds)


def _take_back(cluster: Cluster, before: Path | None, ledger: Ledger, seconds: float) -> str:
    try:
        documents = load(before) if before else []
        if before:
            cluster.apply(before.read_text(encoding="utf-8"))
        _remove_others(documents, ledger, seconds)
    except DeploymentError as error:
        return f"What it made could not be taken back ({error}): action=destroy removes it"
    return "The version before was applied again" if before else "What it made was removed"


def _remove_others(documents: Sequence[Document], ledger: Ledger, seconds: float) -> None:
    for each in reversed(_others(documents, ledger)):
        remove(each, seconds)
        ledger.gone(each)


def readiness(main: Document, state: Document) -> str:
    """Say how many pods of a Deployment are ready, or whether an InferenceService is."""
    if main["kind"] == "Deployment":
        return f"{state.get('readyReplicas', 0)} of {state.get('replicas', 0)} pods"
    conditions = {each["type"]: each["status"] for each in state.get("conditions", ())}
    return "yes" if conditions.get("Ready") == "True" else "not yet"


def remove(resource: Resource, seconds: float) -> None:
    """Remove from its cluster what the ledger lists, unless somebody else has made it since.

    Raises:
        DeploymentError: no cluster answers, or it refuses.
    """
    facts = resource.facts
    cluster = Cluster(facts["namespace"], facts.get("context"))
    present = cluster.find(facts["resource"])
    if present is not None and _annotations(present).get(OWNER) == facts["owner"]:
        cluster.delete(facts["resource"], seconds)
