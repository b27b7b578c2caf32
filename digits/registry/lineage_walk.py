"""Walk the store from one thing to all that it came from and all that came of it.

A kind of thing is two methods: ``before_*`` adds it below what it came from, ``after_*`` adds what
came of it. Only the tracking store is read, and the traffic store where there is one.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from mlflow.entities import Run as RecordedRun
from mlflow.entities.model_registry import ModelVersion
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from digits.contract.prediction import Stored
from digits.contract.traffic import TrafficStore
from digits.data.version import FEWEST, VERSION_TAG
from digits.data.versions import Versions
from digits.errors import RegistryError
from digits.registry.find import RUN_ID
from digits.registry.lineage import STUDIES, Lineage
from digits.registry.lineage_nodes import (
    data_node,
    lost_run_node,
    run_node,
    unkept_node,
    version_id,
    version_node,
)
from digits.registry.lineage_records import DATA_TAG, NAME_TAG, Records, run_id_of
from digits.registry.lineage_traffic import TrafficWalk
from digits.tracking.store import Tracking

TASK_TAG = "digits.task"
OF_VERSION_TAG = "digits.model_version"
OF_RUN_TAG = "digits.model_run_id"
REPRODUCES_TAG = "digits.reproduces"
DIGEST = re.compile(rf"[0-9a-f]{{{FEWEST},64}}")


def lineage(
    tracking: Tracking,
    versions: Versions,
    wanted: str,
    *,
    name: str,
    traffic: TrafficStore | None = None,
) -> Lineage:
    """Return the lineage of what ``wanted`` names.

    Args:
        tracking: where runs and models are recorded.
        versions: where data is kept.
        wanted: alias or number of a model version, run id, run or bundle folder, id of a
            prediction, digest of data or the beginning of one.
        name: the registered model.
        traffic: where predictions are kept, if there are any.

    Raises:
        RegistryError: nothing in the stores has this name.
        TrackingError: the tracking store does not answer.
        TrafficError: the traffic store does not answer.
    """
    return _Walk(Records(tracking, versions), name, traffic).of(wanted)


class _Walk:
    def __init__(self, records: Records, name: str, traffic: TrafficStore | None) -> None:
        self.records = records
        self.name = name
        self.found = Lineage("")
        self.traffic = TrafficWalk(traffic, self.found)

    def of(self, wanted: str) -> Lineage:
        folder = Path(wanted).expanduser()
        if wanted and not wanted.isdecimal() and folder.is_dir():
            wanted = run_id_of(folder)
        number = self.records.aliases(self.name).get(wanted, wanted)
        if entry := self.records.named(f"{self.name}/{number}"):
            self._of_version(entry)
        elif RUN_ID.fullmatch(wanted) and (run := self.records.run(wanted)):
            self._of_run(run)
        elif DIGEST.fullmatch(wanted) and (digest := self.records.digest(wanted)):
            self._of_data(digest)
        elif RUN_ID.fullmatch(wanted) and (stored := self.traffic.prediction(wanted)):
            self._of_prediction(stored)
        else:
            raise RegistryError(
                f"of: {wanted or repr(wanted)} is no version of {self.name}, no run and no data "
                f"that the store {self.records.tracking.uri} knows, and no prediction "
                f"{self.traffic.place}. Name an alias, a version's number, the id of a run or "
                f"prediction, a run's folder, or the first {FEWEST} characters of a data digest"
            )
        return self.found

    # What a name leads to.

    def _of_version(self, entry: ModelVersion) -> None:
        self.found.subject = version_id(entry)
        self._before_version(entry)
        self._after_version(entry)

    def _of_run(self, run: RecordedRun) -> None:
        if VERSION_TAG in run.data.tags:  # the run that keeps a data version
            return self._of_data(run.data.tags[VERSION_TAG])
        self.found.subject = run.info.run_id
        if run.data.tags.get(TASK_TAG) == "sweep":
            jobs = self.records.where(MLFLOW_PARENT_RUN_ID, run.info.run_id)
            self.found.add(run_node(run))
            for job in jobs:
                self._before_training(job)
                self._after_training(job)
        elif OF_VERSION_TAG in run.data.tags or OF_RUN_TAG in run.data.tags:
            self._before_study(run)
        else:
            self._before_training(run)
            self._after_training(run)
        return None

    def _of_data(self, digest: str) -> None:
        self.found.subject = digest
        self._before_data(digest)
        self._after_data(digest)

    def _of_prediction(self, stored: Stored) -> None:
        self.found.subject = stored.prediction.id
        if (entry := self.records.named(stored.prediction.version)) is not None:
            self._before_version(entry)
        self.traffic.before_prediction(stored)
        self.traffic.after_prediction(stored.prediction.id)

    # Data.

    def _before_data(self, digest: str, name: str | None = None) -> None:
        if digest in self.found:
            return
        version = self.records.kept.get(digest)
        if version is None:
            self.found.add(unkept_node(digest, name or self.records.name_of(digest)))
            return
        self.found.add(data_node(version))
        for parent in version.parents:
            self._before_data(parent, version.name)
            self.found.link(parent, digest)

    def _after_data(self, digest: str) -> None:
        for version in self.records.kept.values():
            if digest in version.parents and version.digest not in self.found:
                self._before_data(version.digest)
                self._after_data(version.digest)
        runs = self.records.where(DATA_TAG, digest)
        for run in runs:
            if not _is_study(run):
                self._before_training(run)
                self._after_training(run)
        for run in runs:  # what was judged on it, whatever that had learned from
            if _is_study(run):
                self.found.add(run_node(run), after=digest)

    # Runs.

    def _before_training(self, run: RecordedRun) -> None:
        """Add a training below its data, its sweep, or the run that it repeats."""
        tags, run_id = run.data.tags, run.info.run_id
        if run_id in self.found:
            return
        above = digest = tags.get(DATA_TAG)
        if digest is not None:
            self._before_data(digest, tags.get(NAME_TAG))
        for tag in (MLFLOW_PARENT_RUN_ID, REPRODUCES_TAG):
            origin = self.records.run(tags[tag]) if tag in tags else None
            if origin is None:
                continue
            if tag == REPRODUCES_TAG:
                self._before_training(origin)
            else:
                self.found.add(run_node(origin), after=above)
            above = origin.info.run_id
        self.found.add(run_node(run), after=above)

    def _after_training(self, run: RecordedRun) -> None:
        run_id = run.info.run_id
        for entry in self.records.registered.get(run_id, []):
            self._add_version(entry, after=run_id)
            self._after_version(entry)
        if MLFLOW_PARENT_RUN_ID in run.data.tags and run_id not in self.records.registered:
            return  # a trial of a search is neither judged nor repeated as a rule
        for study in self.records.where(OF_RUN_TAG, run_id):
            if study.info.run_id not in self.found:  # of a bundle that was not registered then
                self.found.add(run_node(study), after=run_id)
        for again in self.records.where(REPRODUCES_TAG, run_id):
            self._before_training(again)

    def _before_study(self, run: RecordedRun) -> None:
        """Add what is about a model (an evaluation, a decision) below model and data."""
        tags = run.data.tags
        about = tags.get(OF_VERSION_TAG, "")
        entry = self.records.named(about)
        origin = self.records.run(tags[OF_RUN_TAG]) if OF_RUN_TAG in tags else None
        if entry is not None:
            self._before_version(entry)
            self.found.add(run_node(run), after=about)
        elif origin is not None:
            self._before_training(origin)
            self.found.add(run_node(run), after=origin.info.run_id)
        else:
            node = run_node(run)
            lost = f"the model that it is about is gone: {about or tags.get(OF_RUN_TAG)}"
            self.found.add(replace(node, lacks=(*node.lacks, lost)))
        if DATA_TAG in tags:
            self._before_data(tags[DATA_TAG], tags.get(NAME_TAG))
            self.found.link(tags[DATA_TAG], run.info.run_id)

    # Model versions.

    def _before_version(self, entry: ModelVersion) -> None:
        run = self.records.run(entry.run_id) if entry.run_id else None
        if run is not None:
            self._before_training(run)
        elif entry.run_id:
            known = {key: entry.tags.get(key) for key in ("data_name", "data_digest")}
            if known["data_digest"]:
                self._before_data(known["data_digest"], known["data_name"])
            self.found.add(lost_run_node(entry.run_id, known), after=known["data_digest"])
        self._add_version(entry, after=entry.run_id or None)

    def _after_version(self, entry: ModelVersion) -> None:
        about = version_id(entry)
        for study in self.records.where(OF_VERSION_TAG, about):
            self.found.add(run_node(study), after=about)
        self.traffic.after_version(about)

    def _add_version(self, entry: ModelVersion, *, after: str | None) -> None:
        held = self.records.aliases(entry.name)
        aliases = sorted(alias for alias, number in held.items() if number == str(entry.version))
        studies = self.records.where(OF_VERSION_TAG, version_id(entry))
        done = {study.data.tags.get(TASK_TAG) for study in studies}
        lacks = [words for task, words in STUDIES.items() if task not in done]
        self.found.add(version_node(entry, aliases, lacks), after=after)


def _is_study(run: RecordedRun) -> bool:
    """Tell whether a run is about a model that another one has trained."""
    tags = run.data.tags
    return OF_VERSION_TAG in tags or OF_RUN_TAG in tags
