"""Files that are made for a model version after it was registered, kept with its run."""

from __future__ import annotations

import tempfile
from pathlib import Path

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts

from digits.contract.files import write_atomically
from digits.contract.manifest import sha256_of
from digits.errors import RegistryError
from digits.registry.find import Model
from digits.registry.versions import tag
from digits.tracking.faults import explained


def attach(client: MlflowClient, model: Model, file: Path, folder: str) -> None:
    """Keep ``file`` below ``folder`` of the run that made the version; its digest is a tag.

    Args:
        client: of the registry.
        model: a registered one.
        file: its name is kept.
        folder: among the artifacts of the run.

    Raises:
        RegistryError: the registry refuses.
        TrackingError: the artifact store refuses.
    """
    assert model.version is not None
    with explained(client.tracking_uri, key="tracking.artifacts"):
        client.log_artifact(model.manifest.run_id, str(file), folder)
    # After the file: a digest without one would be a promise that nobody keeps.
    tag(client, model.version, {_tag(folder): sha256_of(file)})


def fetch_attached(client: MlflowClient, model: Model, folder: str, place: Path) -> bool:
    """Bring what :func:`attach` has kept to ``place``, unless it is there already.

    Returns:
        Whether there is such a file.

    Raises:
        RegistryError: it is not the one that was attached.
        TrackingError: the registry or the artifact store does not answer.
    """
    if model.version is None:
        return place.is_file()
    with explained(client.tracking_uri):
        entry = client.get_model_version(model.version.name, str(model.version.number))
    digest = entry.tags.get(_tag(folder))
    if digest is None:
        return False
    if place.is_file() and sha256_of(place) == digest:
        return True
    uri = f"runs:/{model.manifest.run_id}/{folder}/{place.name}"
    with tempfile.TemporaryDirectory() as scratch, explained(uri, key="tracking.artifacts"):
        got = Path(
            download_artifacts(artifact_uri=uri, dst_path=scratch, tracking_uri=client.tracking_uri)
        )
        if sha256_of(got) != digest:
            raise RegistryError(f"{model}: its {folder} is not the one that was attached")
        place.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(place, got.read_bytes())
    return True


def _tag(folder: str) -> str:
    return f"{folder}_sha256"
