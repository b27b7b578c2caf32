"""Data versions in the tracking store's artifacts: kept once, found by digest, fetched verified.

A version is a run of an experiment of its own. The run is FINISHED when every byte is stored, and
only then is it a version: of a process killed on the way there remains a run that nobody looks at.
What made a version (and made it again) is in the tags of its run, the content in its artifacts.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock
from mlflow.artifacts import download_artifacts
from mlflow.entities import Run as RecordedRun

from digits.contract.files import appearing
from digits.data import archive
from digits.data.archive import Stage
from digits.data.raw import Raw
from digits.data.types import Digits
from digits.data.version import (
    ABOUT_TAG,
    FILES_TAG,
    LATEST,
    NAME_TAG,
    STAGE_TAG,
    VERSION_TAG,
    Made,
    Version,
    hold_name,
    recorded,
    shown,
)
from digits.errors import DataError
from digits.tracking.faults import explained
from digits.tracking.run import Run
from digits.tracking.store import Tracking

FOLDER = "data"  # of a run's artifacts


class Versions:
    """Where data versions are kept.

    Args:
        tracking: the store; versions have an experiment of their own there.
        cache: folder that versions are fetched to; one that is there and whole is not fetched
            again.
    """

    def __init__(self, *, tracking: Tracking, cache: str) -> None:
        self.tracking = Tracking(
            uri=tracking.uri,
            experiment=f"{tracking.experiment}-data",
            artifacts=tracking.artifacts,
        )
        self.cache = Path(cache).expanduser()

    def put(
        self,
        content: Raw | Digits,
        stage: Stage,
        made: Made,
        settings: Mapping[str, Any] | None = None,
        config: Path | None = None,
    ) -> tuple[Version, bool]:
        """Keep ``content``; what is kept already is not uploaded again.

        Several processes may bring the same content at once: on one machine the second waits and
        finds it there; on several machines one upload counts and the others are withdrawn.

        Args:
            content: what to keep.
            stage: how far it has come.
            made: what made it.
            settings: arguments that it was made with.
            config: the canonical configuration, to be kept with it.

        Returns:
            The version, and whether it is new.

        Raises:
            DataError: too large for a version.
            TrackingError: the store does not answer, or cannot be written.
        """
        with self._locked(content.digest):
            kept = self._kept(content.digest)
            if kept is None:
                with tempfile.TemporaryDirectory() as scratch:
                    about = archive.write(Path(scratch), content, stage, settings or {})
                    mine = self._upload(Path(scratch), about, made, config)
                kept = self._kept(content.digest)
                assert kept is not None
                if kept.info.run_id == mine.id:
                    return recorded(kept), True
                with explained(mine.uri):
                    mine.client.delete_run(mine.id)  # another machine was first
            again = Run(self.tracking.client(), kept.info.run_id, uri=self.tracking.uri)
            again.set_tags({made.tag: made.model_dump_json()})
            return self.find(content.digest), False

    def holds(self, digest: str) -> bool:
        """Tell whether content of this sha256 (hex) is kept.

        Raises:
            TrackingError: the store does not answer.
        """
        return self._kept(digest) is not None

    def find(self, wanted: str, *, name: str | None = None, key: str = "data.version") -> Version:
        """Return the version that ``wanted`` names.

        Args:
            wanted: a digest or the beginning of one, or ``<stage>:latest``: what was made last.
            name: the source whose latest version is meant; None for any.
            key: what a message says where ``wanted`` was given.

        Raises:
            DataError: there is no such version, or there are several.
            TrackingError: the store does not answer.
        """
        try:
            hold_name(wanted)
        except ValueError as error:
            raise DataError(f"{key}: a {error}") from error
        if wanted.endswith(LATEST):
            stage = wanted.removesuffix(LATEST)
            kept = [version for version in self.all(name) if version.stage == stage]
            found = sorted(kept, key=lambda version: version.made[-1].when)[-1:]
        else:
            tag = f"tags.`{VERSION_TAG}`"
            whole = f"{tag} = '{wanted}'"
            found = self._search(whole if len(wanted) == 64 else f"{tag} LIKE '{wanted}%'")
        if len(found) > 1:
            digests = ", ".join(version.digest for version in found)
            raise DataError(f"{key}: {wanted} is the beginning of {len(found)} digests: {digests}")
        if not found:
            raise DataError(f"{key}: there is no {wanted}{_offer(self.all(), name)}")
        return found[0]

    def all(self, name: str | None = None) -> list[Version]:
        """Return every version, of one source or of all, the one first kept first."""
        return self._search(f"tags.`{NAME_TAG}` = '{name}'" if name else "")

    def fetch(self, version: Version) -> Raw | Digits:
        """Return the content of a version, fetched at most once and checked every time.

        Raises:
            DataError: what is stored is not what was kept; names the file.
            TrackingError: the store does not answer.
        """
        place = self.cache / version.digest
        with self._locked(version.digest):
            if archive.damage(place, version.files):
                self._download(version, place)
            about, content = archive.read(place)
        if about.digest != version.digest:
            raise DataError(f"data.version: {place} is {about.digest}, not {version.digest}")
        return content

    def _download(self, version: Version, place: Path) -> None:
        client = self.tracking.client()
        with explained(self.tracking.uri):
            uri = f"{client.get_run(version.run_id).info.artifact_uri}/{FOLDER}"
        with (
            appearing(place) as draft,
            tempfile.TemporaryDirectory(dir=self.cache) as scratch,
            explained(uri, key="tracking.artifacts"),
        ):
            got = download_artifacts(
                artifact_uri=uri, dst_path=scratch, tracking_uri=client.tracking_uri
            )
            shutil.copytree(got, draft, dirs_exist_ok=True)
            found = archive.damage(draft, version.files)
            if found:
                raise DataError(
                    f"data.version: {version} ({version.stage} data of {version.name}) is damaged "
                    f"in the store: {uri}/{found}. Take it out (mlflow runs delete --run-id "
                    f"{version.run_id}) and keep the data again (task=data)"
                )

    def _upload(self, folder: Path, about: archive.About, made: Made, config: Path | None) -> Run:
        tags = {
            VERSION_TAG: about.digest,
            STAGE_TAG: about.stage,
            NAME_TAG: about.name,
            ABOUT_TAG: about.model_dump_json(),
            FILES_TAG: json.dumps(archive.digests(folder)),
            made.tag: made.model_dump_json(),
        }
        name = f"{about.name}-{about.stage}-{shown(about.digest)}"
        run = self.tracking.create(name, tags, parent_run_id=None)
        try:
            run.log_folder(folder, FOLDER)
            if config is not None:
                run.log_file(config)
        except BaseException as error:
            run.end("FAILED" if isinstance(error, Exception) else "KILLED", str(error))
            raise
        run.end("FINISHED")
        return run

    def _kept(self, digest: str) -> RecordedRun | None:
        """Return the run that keeps the content, the first to be whole where there are several."""
        found = self._whole(f"tags.`{VERSION_TAG}` = '{digest}'")
        return min(found, key=_order, default=None)

    def _search(self, query: str) -> list[Version]:
        first: dict[str, RecordedRun] = {}
        for run in sorted(self._whole(query), key=_order):
            first.setdefault(run.data.tags[VERSION_TAG], run)
        return [recorded(run) for run in first.values()]

    def _whole(self, query: str) -> list[RecordedRun]:
        whole = "attributes.status = 'FINISHED'"
        found = self.tracking.search(f"{query} AND {whole}" if query else whole)
        return [run for run in found if VERSION_TAG in run.data.tags]

    @contextmanager
    def _locked(self, digest: str) -> Iterator[None]:
        self.cache.mkdir(parents=True, exist_ok=True)
        with FileLock(self.cache / f"{digest}.lock"):
            yield


def _order(run: RecordedRun) -> tuple[int, str]:
    return run.info.end_time, run.info.run_id


def _offer(versions: list[Version], name: str | None) -> str:
    """Say which versions there are, those of the source ``name`` before all others."""
    if not versions:
        return ": no data version is kept yet (task=data keeps them)"
    ordered = sorted(versions, key=lambda version: (version.name != name, version.made[-1].when))
    listed = ", ".join(f"{each} ({each.name}, {each.stage})" for each in ordered[:8])
    return f" of {name or 'any source'}. Kept are: {listed}{', …' if len(ordered) > 8 else ''}"
