"""`task=train`: from raw digits to a registered model."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import numpy as np
import pytorch_lightning as pl
from lightning_fabric.utilities.rank_zero import rank_zero_only
from numpy.typing import NDArray
from pydantic import Field
from scipy.special import softmax

from digits.contract.files import write_atomically
from digits.contract.manifest import ONNX, Manifest
from digits.data.types import Digits, Split
from digits.errors import ResumeError
from digits.evaluation import figures
from digits.evaluation.calibration import fit_temperature
from digits.evaluation.metrics import Report, report
from digits.models.classifier import DigitClassifier
from digits.registry.bundle import Origin, write_bundle
from digits.registry.versions import BUNDLE, register
from digits.tasks import commands
from digits.tasks.summary import Summary, show
from digits.tasks.trial import run_trial
from digits.tracking.record import Record, git_commit
from digits.tracking.run import Run
from digits.tracking.store import Tracking
from digits.training.callbacks import History
from digits.training.export import Parity, check_parity, onnx_answers, to_onnx
from digits.training.fit import Fitted, MakeTrainer, answers
from digits.training.training import Source, Training
from hydra_plugins.ray_tune_sweeper.session import current

log = logging.getLogger(__name__)

EXAMPLES = 2  # images in a version's input example

RegisteredName = Annotated[str, Field(pattern=r"^[^/:.%\"']+$")]


def train(
    record: Record,
    *,
    source: Source,
    loaders: Callable[[Digits], pl.LightningDataModule],
    classifier: DigitClassifier,
    trainer: MakeTrainer,
    callbacks: Mapping[str, pl.Callback],
    tracking: Tracking,
    registered_name: RegisteredName = "digits",
    keep_data: bool = False,
    resume: str | None = None,
) -> float:
    """Train, test once, draw, export, register; return the accuracy that a sweep may select by.

    Inside a search it trains and validates, and leaves the rest to a run of what the search found.

    Args:
        record: the job's folder and configuration.
        source: the data.
        loaders: data -> Lightning data module.
        classifier: trained in place.
        trainer: makes the Lightning trainer.
        callbacks: named; a checkpoint among them makes the run resumable.
        tracking: where the run is recorded.
        registered_name: the registered model that gets a new version.
        keep_data: whether the data is kept as a version, so that its digest gives it again.
        resume: run id or run folder to go on with; None for a new run.

    Returns:
        Accuracy on validation (on training where there is no validation split), never on test.

    Raises:
        ResumeError: the run keeps no checkpoints, or is still going.
    """
    training = Training(source, loaders, classifier, trainer, callbacks)
    if resume and not training.has_checkpoints:
        raise ResumeError("resume: this run keeps no checkpoints (callbacks); start it again")
    if getattr(rank_zero_only, "rank", 0):
        # Started by Lightning beside the first process, which does all that is done once.
        history = History(lambda metrics, epoch: None)
        return training.fit(
            source.load(), history, folder=record.folder, resume=resume is not None
        ).selected
    trial = current()
    if trial is not None:
        return run_trial(trial, training, record, tracking)
    with record.claimed():
        run = tracking.reopen(record.run_id()) if resume else tracking.start(record)
        with _resumable(training, record.folder), run:
            if not resume:
                run.log_record(record)
            data = _load(training, record, run, keep=keep_data)
            summary = _run(training, data, record, run, registered_name, resume=resume is not None)
    if record.job is None:
        show(summary)
    else:  # the sweep shows all of its jobs in one table
        log.info("Job %d: %.2f%%, %s", record.job, 100 * summary.report.accuracy, summary.version)
    return summary.fitted.selected


def _load(training: Training, record: Record, run: Run, *, keep: bool) -> Digits:
    """Load the data and record its digest, under which it can be kept."""
    data = training.source.load()
    run.log_dataset(data.name, digest=data.digest, description=data.description)
    if keep:
        training.source.keep(
            data,
            commit=git_commit(Path(__file__).parent),
            config_digest=record.config_digest,
            config=record.config_file,
        )
    return data


def _run(
    training: Training,
    data: Digits,
    record: Record,
    run: Run,
    registered_name: str,
    *,
    resume: bool,
) -> Summary:
    """Do all that happens inside the tracked run; the version appears last."""
    history = History(lambda metrics, epoch: run.log_metrics(metrics, step=epoch))
    fitted = training.fit(data, history, folder=record.folder, resume=resume)
    logits = answers(training.classifier, data.test.images)
    judged = report(logits, data.test.labels)
    pictures = _draw(record.folder / "figures", fitted, judged, logits=logits, data=data)
    manifest, parity = _bundle(
        record,
        training.classifier,
        logits,
        data=data,
        judged=judged,
        run_id=run.id,
    )
    metrics = _final_metrics(fitted, judged, parity)
    if manifest.temperature is not None:
        metrics["calibration/temperature"] = manifest.temperature
    write_atomically(record.metrics_file, json.dumps(metrics, indent=2) + "\n")
    run.log_folder(pictures, "figures")
    run.log_folder(record.folder / BUNDLE, BUNDLE)
    if fitted.checkpoint is not None:
        run.log_file(fitted.checkpoint, "checkpoints")
    run.log_metrics(metrics, step=len(fitted.epochs))
    version = register(run.client, name=registered_name, run_id=run.id, manifest=manifest)
    return Summary(
        report=judged,
        parity=parity,
        version=version,
        fitted=fitted,
        parameters=manifest.parameters,
        data=data.description,
        pictures=pictures,
        run_id=run.id,
        tracking_uri=run.uri,
    )


@contextmanager
def _resumable(training: Training, folder: Path) -> Iterator[None]:
    """Tell a user who stops the run how to go on with it."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        if training.has_checkpoints:
            log.warning("Stopped. Go on with: %s", commands.run(f"resume={folder}"))
        raise


def _draw(
    folder: Path, fitted: Fitted, judged: Report, *, logits: NDArray[np.float32], data: Digits
) -> Path:
    """Draw curves, confusion matrix and worst mistakes into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    title = f"{data.name}: {judged.accuracy:.2%} of {judged.count:,} held-out digits"
    figures.curves(fitted.epochs, folder / "curves.png")
    figures.confusion_matrix(judged.confusion, folder / "confusion_matrix.png", title=title)
    figures.worst_mistakes(
        data.test.images,
        data.test.labels,
        softmax(logits, axis=1),
        folder / "worst_mistakes.png",
    )
    return folder


def _bundle(
    record: Record,
    classifier: DigitClassifier,
    logits: NDArray[np.float32],
    *,
    data: Digits,
    judged: Report,
    run_id: str,
) -> tuple[Manifest, Parity]:
    """Export, prove the graph on the held-out split, and put the bundle together."""
    standard = classifier.standard
    with tempfile.TemporaryDirectory() as scratch:
        graph = Path(scratch) / ONNX
        to_onnx(classifier.network, mean=standard.mean, std=standard.std, file=graph)
        parity = check_parity(logits, onnx_answers(graph, data.test.images))
        manifest = write_bundle(
            record.folder / BUNDLE,
            network=classifier.network,
            graph=graph,
            config=record.config_file,
            example=data.test.images[:EXAMPLES],
            preprocessing=standard,
            origin=Origin(run_id, data.name, data.digest, judged.metrics("test")),
            temperature=_temperature(classifier, data.validation),
        )
    return manifest, parity


def _temperature(classifier: DigitClassifier, validation: Split) -> float | None:
    """Calibrate on the validation split, never on the test; without one the bundle has none."""
    if not len(validation):
        return None
    return fit_temperature(answers(classifier, validation.images), validation.labels)


def _final_metrics(fitted: Fitted, judged: Report, parity: Parity) -> dict[str, float]:
    """What is known once everything is done."""
    return {
        **judged.metrics("test"),
        "fit/seconds": fitted.seconds,
        "fit/waiting_share": fitted.waiting,
        "onnx/largest_difference": parity.largest_difference,
        "onnx/disagreements": parity.disagreements,
    }
