"""Find the model that ``version=`` names, and bring its bundle to this disk, checked."""

from __future__ import annotations

import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from digits.contract.files import appearing
from digits.contract.manifest import MANIFEST, ONNX, Manifest, sha256_of, verify
from digits.errors import RegistryError
from digits.registry.versions import BUNDLE, DIGESTS, WHOLE, Version
from digits.tracking.faults import explained

RUN_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Model:
    """A trained model on this disk, every file held against the digests of its manifest.

    Attributes:
        folder: the bundle.
        manifest: what the bundle says of itself.
        version: as it is registered; None for a bundle that is not.
    """

    folder: Path
    manifest: Manifest
    version: Version | None

    def __str__(self) -> str:
        return str(self.version) if self.version else str(self.folder)

    @property
    def tags(self) -> dict[str, str]:
        """What a run that uses the model is tagged with; the lineage is walked along them."""
        tags = {
            "digits.model_run_id": self.manifest.run_id,
            "digits.onnx_sha256": self.manifest.files[ONNX],
        }
        if self.version is not None:
            tags["digits.model_version"] = f"{self.version.name}/{self.version.number}"
        return tags


def find_model(client: MlflowClient, wanted: str, *, name: str, cache: Path) -> Model:
    """Return the model that ``wanted`` names.

    Args:
        client: of the registry.
        wanted: an alias, a version number, the id of the run that trained it, a run folder or a
            bundle folder.
        name: the registered model.
        cache: folder that bundles are fetched to; one that is there and whole is not fetched again.

    Raises:
        RegistryError: there is no such version, or its content is not what was registered.
        TrackingError: the registry does not answer.
    """
    folder = Path(wanted).expanduser()
    if wanted and not wanted.isdecimal() and folder.is_dir():
        return _in_folder(client, folder, name)
    with explained(client.tracking_uri):
        entry = _entry(client, wanted, name)
    version = Version(name, int(entry.version))
    whole = entry.tags.get(WHOLE)  # the same network may be in bundles that differ otherwise
    place = cache / f"{name}-{whole or entry.tags.get('onnx_sha256', entry.run_id)}"
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{place}.lock"):
        if not _is_whole(place):
            _fetch(client, entry, place)
        manifest = verify(place)
    _hold(manifest, entry, version)
    if whole not in (None, sha256_of(place / MANIFEST)):
        raise RegistryError(
            f"{version}: the {MANIFEST} of its bundle is not the one that was registered"
        )
    return Model(place, manifest, version)


def _in_folder(client: MlflowClient, folder: Path, name: str) -> Model:
    bundle = folder if (folder / MANIFEST).is_file() else folder / BUNDLE
    if not bundle.is_dir():
        raise RegistryError(f"version: {folder} is neither a model bundle nor the folder of a run")
    manifest = verify(bundle)
    with explained(client.tracking_uri):
        entries = _of_run(client, manifest.run_id, name)
    registered = [
        entry for entry in entries if entry.tags.get("onnx_sha256") == manifest.files[ONNX]
    ]
    version = Version(name, int(registered[-1].version)) if registered else None
    return Model(bundle.resolve(), manifest, version)


def _entry(client: MlflowClient, wanted: str, name: str) -> ModelVersion:
    """Return what the registry has under an alias, a number or a run's id."""
    try:
        model = client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        raise RegistryError(
            f"version: no model {name} is registered at {client.tracking_uri}; train one first "
            f"(task=train)"
        ) from error
    number = model.aliases.get(wanted, wanted)
    if str(number).isdecimal():
        try:
            return client.get_model_version(name, str(number))
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
    elif RUN_ID.fullmatch(wanted) and (found := _of_run(client, wanted, name)):
        return found[-1]
    raise RegistryError(f"version: {wanted} is no version of {name}. {_offer(client, name)}")


def _of_run(client: MlflowClient, run_id: str, name: str) -> list[ModelVersion]:
    """Return the versions that a run has registered, the oldest first."""
    found = client.search_model_versions(f"name='{name}' and run_id='{run_id}'")
    return sorted(found, key=lambda entry: int(entry.version))


def _offer(client: MlflowClient, name: str) -> str:
    aliases = client.get_registered_model(name).aliases
    numbers = sorted(int(entry.version) for entry in client.search_model_versions(f"name='{name}'"))
    named = ", ".join(f"{alias} ({number})" for alias, number in sorted(aliases.items())) or "none"
    known = ", ".join(map(str, numbers)) or "none"
    return f"Aliases: {named}; versions: {known}; or the id or folder of a run, or a bundle"


def _is_whole(folder: Path) -> bool:
    try:
        verify(folder)
    except RegistryError:
        return False
    return True


def _fetch(client: MlflowClient, entry: ModelVersion, place: Path) -> None:
    """Copy the bundle of a version from the artifact store to ``place``."""
    uri = client.get_model_version_download_uri(entry.name, entry.version)
    with tempfile.TemporaryDirectory() as scratch, explained(uri, key="tracking.artifacts"):
        got = download_artifacts(
            artifact_uri=uri, dst_path=scratch, tracking_uri=client.tracking_uri
        )
        with appearing(place) as draft:
            shutil.copytree(got, draft, dirs_exist_ok=True)


def _hold(manifest: Manifest, entry: ModelVersion, version: Version) -> None:
    """Hold the bundle against the digests that the registry has."""
    for tag, file in DIGESTS.items():
        registered, found = entry.tags.get(tag), manifest.files.get(file)
        if registered != found:
            raise RegistryError(
                f"{version}: the {file} of its bundle has sha256 {found}, but {registered} was "
                f"registered: the stored model is not the one that was trained"
            )
