"""The tracked run of a whole sweep: parent of its jobs' runs, with statuses that are true."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlflow.entities import Run as RecordedRun
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from digits.contract.files import write_atomically
from digits.tracking.faults import explained, without_password
from digits.tracking.record import PARENT_FILE, run_id_in
from digits.tracking.run import Run
from digits.tracking.search import runs_where
from digits.tracking.store import Tracking


@dataclass(frozen=True)
class Outcome:
    """How a job ended, as far as its sweep knows.

    Attributes:
        status: FINISHED, FAILED or KILLED.
        reason: why it failed.
        pruned: epochs after which the sweep stopped it early; None: it did not.
    """

    status: str
    reason: str = ""
    pruned: int | None = None


def open_parent(tracking: Tracking, folder: Path, overrides: Sequence[str]) -> Run:
    """Open the run of the sweep in ``folder``: a new one, or that of the sweep that goes on there.

    Its id stands in ``parent.json``, where the jobs look for it.
    """
    known = run_id_in(folder / PARENT_FILE)
    if known is not None:
        return tracking.reopen(known)
    tags = {
        "digits.task": "sweep",
        "digits.folder": str(folder),
        "digits.overrides": without_password(" ".join(overrides)),
    }
    run = tracking.create(f"sweep-{folder.parent.name}-{folder.name}", tags, parent_run_id=None)
    write_atomically(folder / PARENT_FILE, json.dumps({"run_id": run.id}) + "\n")
    return run


def children(parent: Run) -> list[RecordedRun]:
    """Return the runs of the sweep's jobs, the oldest first."""
    with explained(parent.uri):
        experiment = parent.client.get_run(parent.id).info.experiment_id
    query = f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{parent.id}'"
    return runs_where(parent.client, experiment, query)


def reconcile(parent: Run, outcomes: Mapping[str, Outcome], *, default: Outcome) -> None:
    """End the children that their processes left open, and mark the ones stopped early.

    Args:
        parent: the sweep's run.
        outcomes: id of a child -> how its job ended.
        default: for children that no outcome is known of: they belong to a job that was retried,
            or killed before it could say anything.
    """
    for child in children(parent):
        run = Run(parent.client, child.info.run_id, uri=parent.uri)
        outcome = outcomes.get(run.id, default)
        if outcome.pruned is not None and "pruned" not in child.data.tags:
            run.set_tags({"pruned": str(outcome.pruned)})
        if child.info.status == "RUNNING":
            run.end(outcome.status, outcome.reason)


def curve(parent: Run, run_id: str, metric: str) -> list[tuple[int, float]]:
    """Return (epochs done, value) of one child's metric, in the order of the epochs."""
    with explained(parent.uri):
        history = parent.client.get_metric_history(run_id, metric)
    return sorted({point.step: point.value for point in history}.items())
