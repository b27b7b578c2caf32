"""Model versions in MLflow's registry: a bundle, the run it came from, an alias."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, ErrorCode
from pydantic import Field

from digits.contract.manifest import ANSWER, GRADIENT, NEIGHBOURS, ONNX, WEIGHTS, Manifest
from digits.errors import RegistryError

CHALLENGER = "challenger"
BUNDLE = "bundle"
DECISION, PASSED = "promotion.decision", "passed"  # the gate's tag of a version
WHOLE = "manifest_sha256"  # a tag that versions from before it lack
#: tag of a version -> the file of its bundle whose sha256 it holds, where there is such a file
DIGESTS = {
    "onnx_sha256": ONNX,
    "weights_sha256": WEIGHTS,
    "answer_sha256": ANSWER,
    "gradient_sha256": GRADIENT,
    "neighbours_sha256": NEIGHBOURS,
}

#: name of a registered model, without what stands for something else in an MLflow address or query
RegisteredName = Annotated[str, Field(pattern=r"^[^/:.%\"']+$")]


@dataclass(frozen=True)
class Version:
    """A registered version of a model."""

    name: str
    number: int

    def __str__(self) -> str:
        return f"{self.name} version {self.number}"


def register(client: MlflowClient, *, name: str, run_id: str, manifest: Manifest) -> Version:
    """Register the bundle that run ``run_id`` has stored, and call it the challenger.

    The version appears in one step with its tags, after everything it refers to is stored. A run
    registers once: resumed after that, it leaves a newer challenger alone.

    Raises:
        RegistryError: the registry refuses.
    """
    tags = {
        **{tag: manifest.files[file] for tag, file in DIGESTS.items() if file in manifest.files},
        WHOLE: manifest.sha256,
        "data_name": manifest.data_name,
        "data_digest": manifest.data_digest,
        "parameters": str(manifest.parameters),
        "schema_version": str(manifest.schema_version),
    }
    if "test/accuracy" in manifest.metrics:
        tags["accuracy"] = f"{manifest.metrics['test/accuracy']:.6f}"
    try:
        _ensure_model(client, name)
        found = [
            entry
            for entry in client.search_model_versions(f"name='{name}' and run_id='{run_id}'")
            if entry.tags.get("onnx_sha256") == tags["onnx_sha256"]
        ]
        created = found[0] if found else _create(client, name, run_id, tags)
        version = Version(name, int(created.version))
    except MlflowException as error:
        raise RegistryError(f"registry.name: cannot register {name}: {error.message}") from error
    challenge(client, version)
    return version


def challenge(client: MlflowClient, version: Version) -> None:
    """Call a version the challenger, unless a newer one is.

    Raises:
        RegistryError: the registry refuses.
    """
    try:
        if version.number > _challenger(client, version.name):
            client.set_registered_model_alias(version.name, CHALLENGER, str(version.number))
    except MlflowException as error:
        message = f"registry.name: {version} cannot become {CHALLENGER}: {error.message}"
        raise RegistryError(message) from error


def _create(client: MlflowClient, name: str, run_id: str, tags: dict[str, str]) -> ModelVersion:
    return client.create_model_version(
        name, source=f"runs:/{run_id}/{BUNDLE}", run_id=run_id, tags=tags
    )


def _challenger(client: MlflowClient, name: str) -> int:
    """Return the number of the present challenger, 0 when there is none."""
    return int(client.get_registered_model(name).aliases.get(CHALLENGER, 0))


def _ensure_model(client: MlflowClient, name: str) -> None:
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != ErrorCode.Name(RESOURCE_ALREADY_EXISTS):
            raise


def tag(client: MlflowClient, version: Version, tags: Mapping[str, str]) -> None:
    """Set tags of a registered version.

    Raises:
        RegistryError: the registry refuses.
    """
    try:
        for name, value in tags.items():
            client.set_model_version_tag(version.name, str(version.number), name, value)
    except MlflowException as error:
        raise RegistryError(f"{version} cannot be tagged: {error.message}") from error


def describe(client: MlflowClient, version: Version, text: str) -> None:
    """Set the description (Markdown, at most 5,000 characters) of a registered version.

    Raises:
        RegistryError: the registry refuses.
    """
    try:
        client.update_model_version(version.name, str(version.number), description=text)
    except MlflowException as error:
        raise RegistryError(f"{version} cannot be described: {error.message}") from error
