"""`task=active`: how many labels a way of choosing them costs, with the known ones as oracle."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import pytorch_lightning as pl
from filelock import FileLock, Timeout
from pydantic import Field

from digits.active.acquisition import Acquisition
from digits.active.comparison import GOALS, PLACES, Method, draw, methods, table
from digits.active.rounds import Curve, Kept
from digits.active.simulation import Learner, Simulation, repeated
from digits.contract.files import write_atomically
from digits.data import labelled
from digits.data.source import Source
from digits.data.types import Digits
from digits.errors import ConfigError, DataError, Finding, ResumeError
from digits.models.classifier import DigitClassifier
from digits.tasks import commands
from digits.tasks.progress import progress
from digits.tasks.screens.active import ActiveSummary
from digits.tasks.screens.screen import show
from digits.tracking.record import Record, git_commit
from digits.tracking.run import Run
from digits.tracking.store import Tracking
from digits.training.fit import MakeTrainer

log = logging.getLogger(__name__)

PICTURE, TABLE, CURVE = "labels.png", "labels.csv", "curve.json"
LABELLED = "labelled.json"
#: what tells one curve of a protocol from another
OF_THE_CURVE = ("seed", "until", "acquisition")


def active(
    record: Record,
    *,
    source: Source,
    loaders: Callable[[Digits], pl.LightningDataModule],
    classifier: DigitClassifier,
    trainer: MakeTrainer,
    acquisition: Acquisition,
    tracking: Tracking,
    folder: str,
    initial: Annotated[int, Field(ge=2)] = 20,
    per_round: Annotated[int, Field(ge=1)] = 10,
    until: Annotated[int, Field(ge=2)] = 600,
    copies: Annotated[int, Field(ge=1)] = 1,
    draws: Annotated[int, Field(ge=2)] = 20,
) -> float:
    """Label, train, test, choose, and so on; draw the curve beside all others of its protocol.

    Each round is on the disk before the next begins. The same command goes on where a killed one
    stopped, and one with a greater ``until`` where a finished one did.

    Args:
        record: the job's folder and configuration.
        source: the data; its training split is the pool, its test split judges.
        loaders: data -> Lightning data module.
        classifier: what is trained, each time from these first weights.
        trainer: makes the Lightning trainer.
        acquisition: chooses what is labelled next.
        tracking: where this is recorded.
        folder: where the rounds of all simulations are kept.
        initial: labels to begin with, every class in proportion.
        per_round: labels that each further round adds.
        until: labels to end with.
        copies: how often each sample is in the pool, with a little noise; 1 is as it is.
        draws: networks that a method is shown which compares several.

    Returns:
        Accuracy on the test split with ``until`` labels.

    Raises:
        ConfigError: ``until`` is less than ``initial``, or the model does not suit the method.
        DataError: the data cannot be read, has no test split, or rounds on disk are damaged.
        ResumeError: another process is at the same curve.
    """
    if until < initial:
        raise ConfigError([Finding("until", f"must be at least initial, {initial}")])
    loaded = source.load()
    data = _pool(loaded, copies, seed=record.seed)
    kept = Kept(Path(folder).expanduser() / _protocol(record, loaded))
    method = f"{acquisition.name}-{_digest(_parameters(record, only='acquisition'))}"
    learner = Learner(loaders, classifier, trainer, record.folder, record.seed)
    simulation = Simulation(data, learner, acquisition, per_round, draws, record.seed)
    with record.claimed(), _alone(kept.file(method, record.seed)), tracking.start(record) as run:
        run.log_record(record)
        run.log_dataset(data.name, digest=data.digest, description=data.description)
        begun = kept.read(method, record.seed) or Curve(
            acquisition=acquisition.name,
            seed=record.seed,
            commit=git_commit(Path(__file__).parent),
            initial=tuple(simulation.first(initial).tolist()),
        )
        for each in begun.until(until).rounds:
            run.log_metrics({"test/accuracy": each.accuracy}, step=each.labels)
        curve = _simulate(simulation, begun, until, kept, method, run)
        shortened = {
            method: [each.until(until) for each in curves] for method, curves in kept.all().items()
        }
        compared = methods(shortened)
        draw(compared, record.folder / PICTURE, title=_title(data, per_round))
        table(compared, record.folder / TABLE, places=PLACES)
        _record(record, run, data, curve)
    if record.job is None:
        _show(record, run, data, curve, compared, kept.folder)
    else:
        log.info("Job %d: %s, %s", record.job, _told(curve), record.folder / PICTURE)
    return curve.rounds[-1].accuracy


def _simulate(
    simulation: Simulation, curve: Curve, until: int, kept: Kept, method: str, run: Run
) -> Curve:
    """Go on with the curve; each round is kept and tracked as it is done."""
    if curve.rounds:
        log.info("Going on from %d labels: %s", curve.rounds[-1].labels, kept.folder)
    total = (until - len(curve.labelled)) // simulation.per_round + 1
    with progress(max(total, 1), name="labelling") as step:
        for longer in simulation.run(curve, until):
            curve = longer
            kept.write(method, curve)
            last = curve.rounds[-1]
            run.log_metrics(
                {"test/accuracy": last.accuracy, "round/seconds": last.seconds}, step=last.labels
            )
            told = f"{curve.acquisition}: {last.accuracy:.2%} with {last.labels} labels"
            log.info("%s, %.0f s", told, last.seconds)
            step(told)
    return curve.until(until)


def _pool(data: Digits, copies: int, *, seed: int) -> Digits:
    if not len(data.test):
        raise DataError(f"{data.name}: its test split is empty: there is nothing to judge by")
    if copies == 1:
        return data
    return replace(
        data,
        description=f"{data.description}; the pool {copies} times, with noise",
        train=repeated(data.train, copies, seed=seed),
    )


def _protocol(record: Record, data: Digits) -> str:
    """Return what the simulations have in common that can be compared: data and configuration."""
    return f"{data.name}-{_digest({**_parameters(record), 'data': data.digest})}"


def _parameters(record: Record, *, only: str | None = None) -> dict[str, object]:
    """Return the configuration without what tells curves apart, or that of ``only`` one group."""
    plain = {key.removeprefix("task."): value for key, value in record.parameters.items()}
    named = {key: (key.split(".")[0], value) for key, value in plain.items()}
    return {
        key: value
        for key, (top, value) in named.items()
        if (top == only if only else top not in OF_THE_CURVE and not key.endswith(".seed"))
    }


def _digest(content: dict[str, object]) -> str:
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """Keep a curve for this process: two would spoil each other's rounds."""
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(f"{file}.lock", timeout=0):
            yield
    except Timeout:
        raise ResumeError(f"{file}: another process is at this very simulation") from None


def _title(data: Digits, per_round: int) -> str:
    return f"{data.name}: median and quartiles over seeds, {per_round} labels a round"


def _told(curve: Curve) -> str:
    last = curve.rounds[-1]
    return f"{curve.acquisition}: {last.accuracy:.2%} with {last.labels} labels"


def _show(
    record: Record,
    run: Run,
    data: Digits,
    curve: Curve,
    compared: Sequence[Method],
    folder: Path,
) -> None:
    summary = ActiveSummary(
        data=data.description,
        curve=curve,
        compared=compared,
        picture=record.folder / PICTURE,
        kept=folder,
        run_id=run.id,
        labelled=record.folder / LABELLED if _is_whole_mnist(record, data) else None,
        same=commands.same(record, data.name),
    )
    show(summary.rows(), summary.next_commands(), tables=[summary.table()])


def _is_whole_mnist(record: Record, data: Digits) -> bool:
    """Tell whether ``data.labelled`` takes these labels: it knows no pool of copies."""
    return data.name == "mnist" and record.parameters.get("copies", 1) == 1


def _record(record: Record, run: Run, data: Digits, curve: Curve) -> None:
    """Leave the figures in the run and its folder, and what compares curves in the sweep's too."""
    found = {f"labels/{goal:.0%}".rstrip("%"): curve.labels_to(goal) for goal in GOALS}
    numbers = {name: value for name, value in found.items() if value < float("inf")}
    numbers |= {
        "final/accuracy": curve.rounds[-1].accuracy,
        "seconds": sum(each.seconds for each in curve.rounds),
        "cpu_seconds": sum(each.cpu_seconds for each in curve.rounds),
    }
    write_atomically(record.metrics_file, json.dumps(numbers, indent=2) + "\n")
    write_atomically(record.folder / CURVE, curve.model_dump_json(indent=1) + "\n")
    labelled.write(record.folder / LABELLED, pool=data.digest, places=curve.labelled.tolist())
    run.log_metrics(numbers)
    for name in (PICTURE, TABLE, CURVE, LABELLED):
        run.log_file(record.folder / name)
    if record.parent_run_id is not None:
        sweep = Run(run.client, record.parent_run_id, uri=run.uri)
        for name in (PICTURE, TABLE):
            sweep.log_file(record.folder / name)
