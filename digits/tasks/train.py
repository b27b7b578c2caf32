"""`task=train`: from raw digits to a registered model."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytorch_lightning as pl
from lightning_fabric.utilities.rank_zero import rank_zero_only

from digits.data.source import Source
from digits.data.types import Digits
from digits.errors import ResumeError
from digits.features.learned import Learned, of_one_time
from digits.features.store import FeatureStore
from digits.models.classifier import DigitClassifier
from digits.registry.versions import RegisteredName, Version, register
from digits.tasks import commands
from digits.tasks.finish import Finished, finish
from digits.tasks.once import earlier, note
from digits.tasks.reproduction import Reproduction
from digits.tasks.screens.screen import show
from digits.tasks.screens.train import Summary
from digits.tasks.trial import run_trial
from digits.tracking.environment import THREADS_TAG
from digits.tracking.record import Record, git_commit
from digits.tracking.run import Run
from digits.tracking.store import Tracking
from digits.training.callbacks import History
from digits.training.fit import MakeTrainer
from digits.training.training import Training
from hydra_plugins.ray_tune_sweeper.session import current

log = logging.getLogger(__name__)


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
    features: FeatureStore | None = None,
    keep_data: bool = False,
    resume: str | None = None,
    reproduce: str | None = None,
    once: str | None = None,
    cache: str | None = None,
) -> float:
    """Train, test once, draw, export, register; return the accuracy that a sweep may select by.

    Inside a search it trains and validates, and leaves the rest to a run of what the search found.
    A reproduction becomes no version: it would be the challenger of models that came after it.

    Args:
        record: the job's folder and configuration.
        source: the data.
        loaders: data -> Lightning data module.
        classifier: trained in place.
        trainer: makes the Lightning trainer.
        callbacks: named; a checkpoint among them makes the run resumable.
        tracking: where the run is recorded.
        registered_name: the registered model that gets a new version.
        features: where what was added to the data, and corrected, is joined to it; None: nothing.
        keep_data: whether the data is kept as a version, so that its digest gives it again.
        resume: run id or run folder to go on with; None for a new run.
        reproduce: the run that this is its configuration of; the two are compared in the end.
        once: any text; what the same configuration with it has registered before is given again.
        cache: folder that such a version is fetched to.

    Returns:
        Accuracy on validation (on training where there is no validation split), never on test.

    Raises:
        ResumeError: the run keeps no checkpoints, or is still going.
        ConfigError: jobs of a sweep would learn from what is known at different times.
        DataError: the data cannot be read, or is not that of the run to reproduce.
        FeatureError: the feature store does not have the data, or cannot be read.
        NotReproducedError: other numbers came out than those of the run to reproduce.
    """
    again = Reproduction(tracking, reproduce) if reproduce else None
    trial = current()
    learned = None
    if features is not None and again is None:  # a reproduction has the data of its original
        of_one_time(features, several=trial is not None or record.job is not None)
        learned = Learned(source, features, record.folder)
    data = again.data(source) if again else learned or source
    training = Training(data, loaders, classifier, trainer, callbacks)
    if resume and not training.has_checkpoints:
        raise ResumeError("resume: this run keeps no checkpoints (callbacks); start it again")
    if getattr(rank_zero_only, "rank", 0):
        # Started by Lightning beside the first process, which does all that is done once.
        history = History(lambda metrics, epoch: None)
        return training.fit(
            data.load(), history, folder=record.folder, resume=resume is not None
        ).selected
    if trial is not None:
        return run_trial(trial, training, record, tracking)
    if once is not None and cache is not None and again is None:
        found = earlier(record, tracking, registered_name)
        if found is not None:
            found.give(record, tracking, Path(cache).expanduser())
            return found.selected
    with record.claimed():
        run = tracking.reopen(record.run_id()) if resume else tracking.start(record)
        with _resumable(training, record.folder), run:
            if not resume:
                run.log_record(record)
            if learned is not None:
                learned.record(run, registered_name)
            done = _run(training, record, run, again, resume=resume is not None, keep=keep_data)
            if again is None:  # the version appears last: all that it refers to is stored
                version = register(
                    run.client, name=registered_name, run_id=run.id, manifest=done.manifest
                )
                note(record, version, run.id)
    if again is not None:
        again.settle(run, done.manifest)
    elif record.job is None:
        summary = _summary(done, version, run, record)
        show(summary.rows(), summary.next_commands())
    else:  # the sweep shows all of its jobs in one table
        log.info("Job %d: %.2f%%, %s", record.job, 100 * done.report.accuracy, version)
    return done.fitted.selected


def _run(
    training: Training,
    record: Record,
    run: Run,
    again: Reproduction | None,
    *,
    resume: bool,
    keep: bool,
) -> Finished:
    """Do all that happens inside the tracked run, but for registering what came out."""
    data = _load(training, record, run, keep=keep)
    run.set_tags({THREADS_TAG: str(training.threads(data))})
    if again is not None:
        again.begin(run)
    history = History(lambda metrics, epoch: run.log_metrics(metrics, step=epoch))
    fitted = training.fit(data, history, folder=record.folder, resume=resume)
    return finish(training.classifier, data, fitted, record, run)


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


def _summary(done: Finished, version: Version, run: Run, record: Record) -> Summary:
    return Summary(
        report=done.report,
        parity=done.parity,
        version=version,
        fitted=done.fitted,
        parameters=done.manifest.parameters,
        data=done.data.description,
        pictures=done.pictures,
        run_id=run.id,
        tracking_uri=run.uri,
        same=commands.same(record, done.data.name),
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
