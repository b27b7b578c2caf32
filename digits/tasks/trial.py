"""A training as one trial of a search: no test, no export, no model version."""

from __future__ import annotations

import json

from digits.contract.files import write_atomically
from digits.tracking.environment import DEVICE_TAG, THREADS_TAG
from digits.tracking.record import Record
from digits.tracking.run import Run
from digits.tracking.store import Tracking
from digits.training.callbacks import History
from digits.training.training import Training
from hydra_plugins.ray_tune_sweeper.session import Trial

PRUNED = "pruned"  # tag: the epoch after which the search ended the trial


def run_trial(trial: Trial, training: Training, record: Record, tracking: Tracking) -> float:
    """Train, report every epoch, and return the accuracy that the search selects by.

    A trial that goes on, after a pause or a killed worker, goes on in the run that it had.

    Raises:
        KeyboardInterrupt: the whole search is being stopped; the run ends as killed.
    """
    with record.claimed():
        goes_on = record.run_file.exists()
        run = tracking.reopen(record.run_id()) if goes_on else tracking.start(record)
        with run:
            trial.note(run_id=run.id)
            if goes_on:
                run.remove_tag(PRUNED)
            else:
                run.log_record(record)
            return _fit(trial, training, record, run)


def _fit(trial: Trial, training: Training, record: Record, run: Run) -> float:
    data = training.source.load()
    trial.must_match("data", data.digest)
    run.log_dataset(data.name, digest=data.digest, description=data.description)
    run.set_tags({THREADS_TAG: str(training.threads(data))})
    history = History(lambda metrics, epoch: run.log_metrics(metrics, step=epoch))
    fitted = training.fit(data, history, folder=record.folder, trial=trial)
    run.set_tags({DEVICE_TAG: fitted.device})
    if trial.interrupted:
        raise KeyboardInterrupt
    if trial.stopped is not None:
        run.set_tags({PRUNED: str(trial.stopped)})
    metrics = {**fitted.epochs[-1], "fit/seconds": fitted.seconds}
    write_atomically(record.metrics_file, json.dumps(metrics, indent=2) + "\n")
    return fitted.selected
