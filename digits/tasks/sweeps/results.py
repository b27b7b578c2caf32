"""What a sweep came to, read from its folder: the sweeper's own account, or the jobs' notes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser

from digits.evaluation.trials import TRIALS_FILE, Results, Trial, read
from digits.tasks.sweeps.jobs import JOB_FILE, Note, Overrides
from digits.tracking.record import RUN_FILE, run_id_in
from digits.tracking.run import Run
from digits.tracking.sweep import Outcome, curve

STATUS = {"FINISHED": "finished", "FAILED": "failed", "KILLED": "interrupted"}
#: what training reports after each epoch, and returns in the end; the first that a job has
REPORTED = ("validation/accuracy", "train/accuracy")


def results_in(
    folder: Path, planned: Sequence[Overrides], *, status: str, seconds: float
) -> Results:
    """Read the results of the sweep in ``folder``.

    Args:
        folder: the sweep's folder.
        planned: the overrides of each job of a plain list; empty for other sweepers.
        status: FINISHED, FAILED or KILLED.
        seconds: how long the sweep took.
    """
    if (folder / TRIALS_FILE).is_file():
        return read(folder / TRIALS_FILE)
    notes = {note.number: (note, file.parent) for file, note in _notes(folder)}
    jobs = dict(enumerate(planned)) | {
        number: note.overrides for number, (note, _) in notes.items()
    }
    swept = _swept(jobs)
    trials = []
    for number in sorted(jobs):
        trial = Trial(number, "pending", swept[number])
        if number in notes:
            trial = _told(trial, *notes[number], interrupted=status == "KILLED")
        trials.append(trial)
    return Results(("value",), ("max",), STATUS[status], seconds, tuple(trials))


def _notes(folder: Path) -> list[tuple[Path, Note]]:
    return [(file, Note.read(file)) for file in folder.rglob(JOB_FILE)]


def _told(trial: Trial, note: Note, folder: Path, *, interrupted: bool) -> Trial:
    """Return the trial with what its job noted."""
    status, error = note.status, note.error
    if status == "interrupted" and not interrupted:
        status, error = "failed", "its process was killed"
    return replace(
        trial,
        status=status,
        folder=folder,
        values=None if note.value is None else (note.value,),
        seconds=note.seconds if note.status != "interrupted" else None,
        error=error,
        run_id=run_id_in(folder / RUN_FILE),
    )


def _swept(jobs: Mapping[int, Overrides]) -> dict[int, dict[str, str]]:
    """Return the overrides in which the jobs differ, as (key -> text of the value) of each job."""
    parser = OverridesParser.create()
    split = {
        number: {
            each.get_key_element(): each.get_value_element_as_str()
            for each in parser.parse_overrides(list(overrides))
        }
        for number, overrides in jobs.items()
    }
    texts: dict[str, set[str | None]] = {}
    for key in {key for values in split.values() for key in values}:
        texts[key] = {values.get(key) for values in split.values()}
    return {
        number: {key: text for key, text in values.items() if len(texts[key]) > 1}
        for number, values in split.items()
    }


def with_curves(results: Results, parent: Run) -> Results:
    """Return the results with what the jobs of a plain list reported after each epoch.

    Their metric is then called by its name.
    """
    if any(trial.curve for trial in results.trials):
        return results
    runs = [trial.run_id for trial in results.trials if trial.run_id]
    for metric in REPORTED:
        curves = {run_id: curve(parent, run_id, metric) for run_id in runs}
        if any(curves.values()):
            break
    else:
        return results
    trials = tuple(
        replace(
            trial,
            curve=tuple(
                (step, {metric: value}) for step, value in curves.get(trial.run_id or "", ())
            ),
        )
        for trial in results.trials
    )
    return replace(results, metrics=(metric,), trials=trials)


def outcomes(results: Results) -> dict[str, Outcome]:
    """Return run id -> how its job ended, where the results know it."""
    return {trial.run_id: _outcome(trial) for trial in results.trials if trial.run_id}


def _outcome(trial: Trial) -> Outcome:
    if trial.status == "pruned":
        return Outcome("FINISHED", pruned=trial.epochs or 0)
    if trial.status == "finished":
        return Outcome("FINISHED")
    if trial.status == "failed":
        return Outcome("FAILED", trial.error or "")
    return Outcome("KILLED")
