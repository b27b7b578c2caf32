"""What a lineage says of each kind of thing: the store's entries as plain facts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlflow.entities import Run as RecordedRun
from mlflow.entities.model_registry import ModelVersion
from mlflow.utils.mlflow_tags import MLFLOW_GIT_COMMIT

from digits.data.version import Version
from digits.registry.lineage import DATA, KINDS, RUN, SWEEP, TRAINING, VERSION, Node
from digits.tracking.comparison import results
from digits.tracking.environment import LIBRARIES_TAG

#: fact -> tag of a run
TAGS = {
    "commit": MLFLOW_GIT_COMMIT,
    "config_digest": "digits.config_digest",
    "overrides": "digits.overrides",
    "seed": "digits.seed",
    "data_name": "digits.data_name",
    "data_digest": "digits.data_digest",
    "feature_service": "digits.feature_service",
    "features_as_of": "digits.features_as_of",
    "threads": "digits.threads",
    "device": "digits.device",
    "processor": "digits.processor",
    "python": "digits.python",
    "job": "digits.job",
    "model_version": "digits.model_version",
    "model_run_id": "digits.model_run_id",
    "decision": "promotion.decision",
    "reproduces": "digits.reproduces",
    "reproduced": "digits.reproduced",
    "resumed": "digits.resumed",
    "pruned": "pruned",
    "error": "digits.error",
    "folder": "digits.folder",
}


def data_node(version: Version) -> Node:
    """Return the node of a kept data version."""
    lacks: tuple[str, ...] = ()
    if version.stage != "raw" and not version.parents:
        lacks = ("what it was made of is not on record (task=data keeps every stage)",)
    facts = {
        "name": version.name,
        "description": version.description,
        "samples": version.samples,
        "settings": dict(version.settings),
        "made": [made.model_dump(mode="json") for made in version.made],
        "run_id": version.run_id,
    }
    return Node(f"{version.stage} data", version.digest, facts, lacks)


def unkept_node(digest: str, name: str | None) -> Node:
    """Return the node of data of which only the digest is on record."""
    return Node(DATA, digest, {"name": name}, ("its content is not kept (task=data keeps it)",))


def run_node(run: RecordedRun) -> Node:
    """Return the node of a tracked run: a training, a sweep, an evaluation, a decision, ..."""
    tags, info = run.data.tags, run.info
    task = tags.get("digits.task", "unknown")
    kind = {"train": TRAINING, "sweep": SWEEP}.get(task, KINDS.get(task, RUN))
    facts: dict[str, Any] = {
        "task": task,
        "status": info.status,
        "started": _time(info.start_time),
        "seconds": (info.end_time - info.start_time) / 1000 if info.end_time else None,
        **{fact: tags[tag] for fact, tag in TAGS.items() if tag in tags},
        "libraries": json.loads(tags.get(LIBRARIES_TAG, "{}")),
        "metrics": results(run),
    }
    return Node(kind, info.run_id, facts, tuple(_run_lacks(run)))


def lost_run_node(run_id: str, facts: dict[str, Any]) -> Node:
    """Return the node of a training that the store does not have any more."""
    lacks = ("the run was deleted from the store for good: its commit, configuration and metrics",)
    return Node(TRAINING, run_id, facts, lacks)


def version_node(entry: ModelVersion, aliases: Sequence[str], lacks: Sequence[str]) -> Node:
    """Return the node of a registered model version."""
    facts = {
        "name": entry.name,
        "number": int(entry.version),
        "aliases": list(aliases),
        "registered": _time(entry.creation_timestamp),
        "run_id": entry.run_id,
        **entry.tags,
    }
    return Node(VERSION, version_id(entry), facts, tuple(lacks))


def version_id(entry: ModelVersion) -> str:
    """Return the id of a version's node, which is also how runs name it in their tags."""
    return f"{entry.name}/{entry.version}"


def _run_lacks(run: RecordedRun) -> list[str]:
    tags = run.data.tags
    lacks = []
    if run.info.lifecycle_stage == "deleted":
        lacks.append("it is marked as deleted in the store")
    folder = tags.get("digits.folder")
    if folder and not Path(folder).is_dir():
        lacks.append(f"its folder is not on this machine: {folder}")
    if "digits.data_digest" not in tags and tags.get("digits.task") != "sweep":
        lacks.append("no data on record: it ended before it had read any")
    return lacks


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds")
