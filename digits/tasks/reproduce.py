"""`task=train reproduce=<run>`: a recorded training once more, and whether it came out the same.

What counts is the configuration that was saved with the run, not the overrides it was typed with:
options of `conf/` may have changed since. Only where things are (`paths`, `tracking`) is today's.
"""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import Any, cast

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from mlflow.artifacts import download_artifacts
from mlflow.entities import Run as RecordedRun
from omegaconf import DictConfig, OmegaConf

from digits.config import canonical
from digits.config.check import check
from digits.config.instantiate import instantiate
from digits.errors import ConfigError, ReproductionError, TrackingError
from digits.tracking.faults import explained
from digits.tracking.record import CONFIG_FILE, RUN_FILE, run_id_in
from digits.tracking.store import Tracking

log = logging.getLogger(__name__)

KEY = "reproduce"
ABSENT = "(absent)"  # how differences show what a configuration does not have
TYPED_WITH_IT = frozenset({"task", KEY, "tracking", "paths", "check_only"})
DIGEST_TAG = "digits.data_digest"


def recomposed(config: DictConfig) -> DictConfig:
    """Return the configuration of the run that ``config.reproduce`` names.

    Raises:
        ReproductionError: something else is typed with it; there is no such run, or it is no
            finished training; or its configuration is not sound any more.
        TrackingError: the store does not answer.
    """
    _refuse_overrides(list(HydraConfig.get().overrides.task))
    return rebuilt(config)


def rebuilt(config: DictConfig) -> DictConfig:
    """Do what :func:`recomposed` does, whatever was typed."""
    tracking = instantiate(config.tracking)
    run = original(tracking, str(config[KEY]))
    recorded = _recorded(tracking, run)
    again = _merged(config, recorded)
    again[KEY] = run.info.run_id
    try:
        check(again, probe=False)
        changes = canonical.differences(recorded, canonical.canonical(again))
    except ConfigError as error:
        raise ReproductionError(
            f"{KEY}: the code has changed since run {run.info.run_id} (commit {_commit(run)}), and "
            f"its configuration is not sound any more. {error}"
        ) from error
    added = [each for each in changes if f": {ABSENT} -> " in each]
    if len(added) < len(changes):
        listed = "\n  ".join(each for each in changes if each not in added)
        raise ReproductionError(
            f"{KEY}: the code has changed since run {run.info.run_id} (commit {_commit(run)}), and "
            f"its configuration cannot be had any more:\n  {listed}"
        )
    for each in added:
        log.warning("Differs from the original: %s (an argument that it did not have)", each)
    return again


def _merged(config: DictConfig, recorded: dict[str, Any]) -> DictConfig:
    """Return ``recorded`` in the frame of today: its places, and how values reach the task."""
    today = [str(key) for key in config if key in canonical.EXCLUDED or key not in recorded]
    merged = OmegaConf.masked_copy(config, [*today, "task"])
    OmegaConf.set_struct(merged, False)
    for key, value in recorded.items():
        if key != "task":
            merged[key] = value
    OmegaConf.set_struct(merged, True)
    return merged


def original(tracking: Tracking, wanted: str) -> RecordedRun:
    """Return the finished training that a run id or a run folder names.

    Raises:
        ReproductionError: there is none, it is none, or it has no result to compare with.
        TrackingError: the store does not answer.
    """
    run = _find(tracking, wanted)
    reason = _why_not(run)
    if reason:
        raise ReproductionError(f"{KEY}: run {run.info.run_id} {reason}")
    return run


def _find(tracking: Tracking, wanted: str) -> RecordedRun:
    folder = Path(wanted).expanduser()
    run_id = run_id_in(folder / RUN_FILE) if folder.is_dir() else wanted
    if run_id is None:
        raise ReproductionError(f"{KEY}: {folder} is not the folder of a run: no {RUN_FILE} in it")
    tracking.client()  # a store that does not answer is another fault than an unknown run
    try:
        return tracking.find(run_id)
    except TrackingError as error:
        named = f"{folder} is the folder of run {run_id}, which" if folder.is_dir() else run_id
        raise ReproductionError(
            f"{KEY}: {named} is not a run of the store {tracking.uri}. Another store: "
            f"paths.root=... or tracking.uri=..."
        ) from error


def _why_not(run: RecordedRun) -> str | None:
    """Say why a run cannot be reproduced, or return None."""
    tags, status = run.data.tags, run.info.status
    task = tags.get("digits.task", "unknown")
    if task == "sweep":
        return "is a whole sweep; name the run of one of its jobs"
    if task != "train":
        return f"is no training (task={task})"
    if run.info.lifecycle_stage == "deleted":
        return "was deleted from the store"
    if status == "RUNNING":
        return "is still going, or was killed; it has no final metrics to compare with"
    if status != "FINISHED":
        why = f" ({tags['digits.error']})" if "digits.error" in tags else ""
        return f"ended as {status}{why}: it has no final metrics to compare with"
    if "pruned" in tags:
        return f"was stopped early by its search, after {tags['pruned']} epochs"
    return None if DIGEST_TAG in tags else "has no data digest on record"


def _recorded(tracking: Tracking, run: RecordedRun) -> dict[str, Any]:
    """Return the canonical configuration that was stored with the run, held against its digest."""
    uri = f"{run.info.artifact_uri}/{CONFIG_FILE}"
    with tempfile.TemporaryDirectory() as scratch:
        with explained(uri, key="tracking.artifacts"):
            file = download_artifacts(artifact_uri=uri, dst_path=scratch, tracking_uri=tracking.uri)
        content = OmegaConf.to_container(OmegaConf.load(file))
    recorded = cast("dict[str, Any]", content)
    if canonical.digest(recorded) != run.data.tags.get("digits.config_digest"):
        raise ReproductionError(
            f"{KEY}: the configuration stored with run {run.info.run_id} was changed: {uri} is "
            f"not what its digest says"
        )
    return recorded


def _refuse_overrides(typed: list[str]) -> None:
    parsed = OverridesParser.create().parse_overrides(typed)
    others = [
        text
        for text, each in zip(typed, parsed, strict=True)
        if each.key_or_group.partition(".")[0] not in TYPED_WITH_IT
    ]
    if others:
        raise ReproductionError(
            f"{KEY}: a reproduction takes every value from the run's record; leave out: "
            f"{', '.join(others)}"
        )


def _commit(run: RecordedRun) -> str:
    return str(run.data.tags.get("mlflow.source.git.commit", "unknown"))
