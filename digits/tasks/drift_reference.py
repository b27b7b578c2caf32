"""The reference of a model version: made once, kept with the version, fetched by whoever asks."""

from __future__ import annotations

import logging
from pathlib import Path

from filelock import FileLock
from mlflow import MlflowClient

from digits.data.source import Source
from digits.errors import ConfigError, Finding
from digits.monitoring import archive
from digits.monitoring.monitor import Monitor
from digits.monitoring.reference import STEPS, Reference, gather
from digits.monitoring.signals import Observer
from digits.registry.attachment import attach, fetch_attached
from digits.registry.find import Model
from digits.tasks.progress import progress

log = logging.getLogger(__name__)

FOLDER, FILE = "monitor", "monitor.npz"


def stored(
    client: MlflowClient, model: Model, observe: Observer, source: Source, *, cache: Path, seed: int
) -> tuple[Reference, Monitor]:
    """Return the reference of a version, calibrating where there is none yet.

    Raises:
        ConfigError: there is none, and the data to make it from are not what the model learned.
        DataError: they cannot be read or are too few.
        RegistryError: it is damaged, or of another schema.
    """
    place = _place(model, cache)
    with FileLock(f"{place}.lock"):
        if fetch_attached(client, model, FOLDER, place):
            reference, monitor, _ = archive.read(place)
            return reference, monitor
        return _make(client, model, observe, source, place, seed)


def calibrated(
    client: MlflowClient, model: Model, observe: Observer, source: Source, *, cache: Path, seed: int
) -> tuple[Reference, Monitor]:
    """Make the reference of a version, in place of one that there may be; see :func:`stored`."""
    place = _place(model, cache)
    with FileLock(f"{place}.lock"):
        return _make(client, model, observe, source, place, seed)


def _place(model: Model, cache: Path) -> Path:
    place = cache / "monitors" / model.manifest.sha256 / FILE
    place.parent.mkdir(parents=True, exist_ok=True)
    return place


def _make(
    client: MlflowClient, model: Model, observe: Observer, source: Source, place: Path, seed: int
) -> tuple[Reference, Monitor]:
    data = source.load()
    if (learned := model.manifest.data_name) != data.name:
        message = f"{model} learned from {learned}, not from {data.name}: type data={learned}"
        raise ConfigError([Finding("data", message)])
    log.info("Calibrating on the %d held-out digits of %s", len(data.test), data.name)
    with progress(STEPS + 1) as step:
        reference = gather(observe, data.test, seed=seed, step=step)
        monitor = reference.monitor(seed=seed)
        step("thresholds")
    archive.write(
        place, reference, monitor, data_digest=data.digest, bundle_sha256=model.manifest.sha256
    )
    if model.version is not None:
        attach(client, model, place, FOLDER)
    log.info(
        "Calibrated: %.2f%% right on the reference, clean windows of %d to %d images",
        100 * monitor.before,
        monitor.nulls[0].count,
        monitor.nulls[-1].count,
    )
    return reference, monitor
