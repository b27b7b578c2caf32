"""What a lineage asks of the tracking store; nothing is asked twice that does not change."""

from __future__ import annotations

from functools import cache, cached_property
from pathlib import Path

from mlflow.entities import Run as RecordedRun
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from digits.contract.manifest import MANIFEST, Manifest
from digits.data.version import Version
from digits.data.versions import Versions
from digits.errors import RegistryError, TrackingError
from digits.registry.versions import BUNDLE
from digits.tracking.faults import explained
from digits.tracking.record import PARENT_FILE, RUN_FILE, run_id_in
from digits.tracking.store import Tracking

DATA_TAG = "digits.data_digest"
NAME_TAG = "digits.data_name"


class Records:
    """Runs, data versions and model versions of one store.

    Every method raises TrackingError when the store does not answer.
    """

    def __init__(self, tracking: Tracking, versions: Versions) -> None:
        self.tracking = tracking
        self.versions = versions
        self.client = tracking.client()
        self.run = cache(self._run)
        self.where = cache(self._where)
        self.aliases = cache(self._aliases)

    @cached_property
    def kept(self) -> dict[str, Version]:
        """Data versions by digest."""
        return {version.digest: version for version in self.versions.all()}

    @cached_property
    def registered(self) -> dict[str, list[ModelVersion]]:
        """Model versions by the run that registered them, the oldest first."""
        found: dict[str, list[ModelVersion]] = {}
        token = None
        with explained(self.tracking.uri):
            while True:
                page = self.client.search_model_versions(page_token=token)
                for entry in sorted(page, key=lambda each: int(each.version)):
                    if entry.run_id:  # a journal has versions too, of no run
                        found.setdefault(entry.run_id, []).append(entry)
                token = page.token
                if not token:
                    return found

    def version(self, name: str, number: str) -> ModelVersion | None:
        """Return a model version."""
        with explained(self.tracking.uri):
            try:
                return self.client.get_model_version(name, number)
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
                return None

    def named(self, about: str) -> ModelVersion | None:
        """Return the model version ``<name>/<number>``."""
        name, _, number = about.rpartition("/")
        return self.version(name, number) if name and number.isdecimal() else None

    def digest(self, beginning: str) -> str | None:
        """Return the digest that begins so, of data that is kept or that a run has used.

        Raises:
            RegistryError: there are several.
        """
        used = self.tracking.search(f"tags.`{DATA_TAG}` LIKE '{beginning}%'")
        known = {run.data.tags[DATA_TAG] for run in used}
        known |= {digest for digest in self.kept if digest.startswith(beginning)}
        if len(known) > 1:
            raise RegistryError(
                f"of: {beginning} is the beginning of {len(known)} digests: "
                f"{', '.join(sorted(known))}"
            )
        return next(iter(known), None)

    def name_of(self, digest: str) -> str | None:
        """Return what data is called that runs have used."""
        runs = self.where(DATA_TAG, digest)
        return runs[0].data.tags.get(NAME_TAG) if runs else None

    def _run(self, run_id: str) -> RecordedRun | None:
        """Return a run, also one that is marked as deleted."""
        try:
            return self.tracking.find(run_id)
        except TrackingError:
            return None  # the store has answered before: it has no such run

    def _where(self, tag: str, value: str) -> list[RecordedRun]:
        """Return the runs with this tag, the oldest first."""
        return self.tracking.search(f"tags.`{tag}` = '{value}'")

    def _aliases(self, name: str) -> dict[str, str]:
        """Return alias -> number of a registered model; empty where there is no such model."""
        with explained(self.tracking.uri):
            try:
                held = self.client.get_registered_model(name).aliases
                return {str(alias): str(number) for alias, number in held.items()}
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
                return {}


def run_id_of(folder: Path) -> str:
    """Return the id of the run that a run folder, a sweep's folder or a bundle belongs to.

    Raises:
        RegistryError: it is none of them.
    """
    for file in (RUN_FILE, PARENT_FILE):
        run_id = run_id_in(folder / file)
        if run_id is not None:
            return run_id
    for bundle in (folder, folder / BUNDLE):
        if (bundle / MANIFEST).is_file():
            return Manifest.read(bundle).run_id
    raise RegistryError(f"of: {folder} is neither the folder of a run or sweep nor a model bundle")
