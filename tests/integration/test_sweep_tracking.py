"""The tracked run of a sweep on a real SQLite store."""

from __future__ import annotations

import dataclasses

import pytest

from digits.tracking.record import PARENT_FILE, run_id_in
from digits.tracking.store import Tracking
from digits.tracking.sweep import Outcome, children, open_parent, reconcile


@pytest.fixture
def tracking(store):
    return Tracking(uri=store)


def child(tracking, record, parent, job):
    folder = record.folder.with_name(f"job{job}")
    folder.mkdir()
    return tracking.start(
        dataclasses.replace(record, folder=folder, job=job, parent_run_id=parent.id)
    )


def test_jobs_are_children_of_their_sweep(tracking, record, tmp_path):
    parent = open_parent(tracking, tmp_path, ["seed=1,2"])
    assert run_id_in(tmp_path / PARENT_FILE) == parent.id
    made = [child(tracking, record, parent, job) for job in range(2)]
    found = children(parent)
    assert [run.info.run_id for run in found] == [run.id for run in made]
    assert [run.data.tags["digits.job"] for run in found] == ["0", "1"]
    assert parent.client.get_run(parent.id).data.tags["digits.overrides"] == "seed=1,2"


def test_a_sweep_that_goes_on_goes_on_in_its_run(tracking, tmp_path):
    parent = open_parent(tracking, tmp_path, [])
    parent.end("KILLED")
    again = open_parent(tracking, tmp_path, [])
    assert again.id == parent.id
    assert parent.client.get_run(parent.id).info.status == "RUNNING"


def test_runs_left_open_end_as_their_jobs_did(tracking, record, tmp_path):
    parent = open_parent(tracking, tmp_path, [])
    runs = [child(tracking, record, parent, job) for job in range(4)]
    runs[3].end("FINISHED")
    known = {runs[0].id: Outcome("FINISHED", pruned=3), runs[1].id: Outcome("KILLED")}
    reconcile(parent, known, default=Outcome("FAILED", "gone"))
    found = children(parent)
    assert [run.info.status for run in found] == ["FINISHED", "KILLED", "FAILED", "FINISHED"]
    assert found[0].data.tags["pruned"] == "3"
    assert found[2].data.tags["digits.error"] == "gone"
    assert "digits.error" not in found[3].data.tags
