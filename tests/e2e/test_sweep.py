"""Plain lists with -m: checked whole, tracked as one, shown at the end, however they end."""

from __future__ import annotations

import csv
import json
import signal
import time
from pathlib import Path

import pytest
from mlflow.entities import Run

from tests.e2e.conftest import Program

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

QUICK = ["model=linear", "trainer.max_epochs=2"]
PARENT = "mlflow.parentRunId"


def _family(program: Program) -> tuple[Run, list[Run]]:
    runs = program.runs()
    (parent,) = [run for run in runs if PARENT not in run.data.tags]
    jobs = [run for run in runs if run.data.tags.get(PARENT) == parent.info.run_id]
    assert len(jobs) == len(runs) - 1
    return parent, sorted(jobs, key=lambda run: int(run.data.tags["digits.job"]))


def _folder(program: Program) -> Path:
    (folder,) = (program.folder / "outputs" / "sweeps").glob("*/*")
    return folder


@pytest.mark.parametrize("launcher", ["basic", "ray"])
def test_seeds_are_children_of_one_run_and_one_row_of_the_table(
    program: Program, launcher: str
) -> None:
    done = program(*QUICK, "seed=1,2", f"hydra/launcher={launcher}", "-m")
    assert done.returncode == 0, done.stderr
    assert "UserWarning" not in done.stderr
    parent, jobs = _family(program)
    assert [run.info.status for run in (parent, *jobs)] == ["FINISHED"] * 3
    accuracies = [run.data.metrics["validation/accuracy"] for run in jobs]
    assert parent.data.metrics["best/validation/accuracy"] == max(accuracies)
    artifacts = {file.path for file in program.client().list_artifacts(parent.info.run_id)}
    assert artifacts == {"figures", "leaderboard.csv"}
    assert "2 jobs in" in done.stdout
    assert "±" in done.stdout
    rows = list(csv.DictReader((_folder(program) / "leaderboard.csv").read_text().splitlines()))
    assert {row["seed"]: row["status"] for row in rows} == {"1": "finished", "2": "finished"}


def test_a_list_with_a_faulty_job_starts_nothing(program: Program) -> None:
    done = program(*QUICK, "optimizer.lr=0.01,-1", "-m")
    assert done.returncode == 2
    assert "Job 1" in done.stderr
    assert "optimizer.lr=-1" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (program.folder / "outputs" / "mlflow.db").exists()
    assert not list(_folder(program).iterdir())


def test_a_multirun_without_a_list_is_refused(program: Program) -> None:
    done = program(*QUICK, "-m")
    assert done.returncode == 2
    assert "nothing is swept" in done.stderr


def test_a_failed_job_fails_the_sweep_and_is_named_at_the_end(program: Program) -> None:
    done = program(*QUICK, "data=folder", "data.root=nowhere,there", "-m")
    assert done.returncode == 1
    parent, jobs = _family(program)
    assert [run.info.status for run in (parent, *jobs)] == ["FAILED"] * 3
    assert "job 1 failed: data.root: there is not a folder" in done.stdout
    assert json.loads((_folder(program) / "0" / "job.json").read_text())["status"] == "failed"


@pytest.mark.parametrize(
    ("number", "launcher", "code"),
    [(signal.SIGINT, "basic", 130), (signal.SIGTERM, "basic", 143), (signal.SIGTERM, "ray", 143)],
)
def test_a_stopped_sweep_is_killed_with_its_jobs(
    program: Program, number: signal.Signals, launcher: str, code: int
) -> None:
    typed = ["model=linear", "trainer.max_epochs=500", "seed=1,2,3", f"hydra/launcher={launcher}"]
    with program.start(*typed, "-m") as process:
        for _ in range(1200):
            if list(program.folder.rglob("last.ckpt")):
                break
            time.sleep(0.1)
        process.send_signal(number)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == code, output
    assert "Traceback" not in output
    parent, jobs = _family(program)
    assert jobs
    assert {run.info.status for run in (parent, *jobs)} == {"KILLED"}


def test_a_sweep_that_cannot_be_resumed_is_named_before_anything_is_written(
    program: Program,
) -> None:
    done = program(*QUICK, "tuner=random", "sweep.resume=nowhere", "-m")
    assert done.returncode == 2
    assert done.stderr == "sweep.resume: nowhere holds no sweep of a tuner\n"
    assert not (program.folder / "outputs").exists()
