"""Tracked runs on a real SQLite store."""

from __future__ import annotations

import hashlib
import logging
import re
import sqlite3
import subprocess
import threading
import time

import mlflow
import pytest

from digits.errors import TrackingError
from digits.tracking import run as run_module
from digits.tracking.record import git_commit
from digits.tracking.store import Tracking


def status(run):
    return run.client.get_run(run.id).info.status


def monitors():
    return [thread for thread in threading.enumerate() if thread.name == "SystemMetricsMonitor"]


def test_finished_run_holds_what_was_logged(store, record):
    many = {f"p{n}": n for n in range(230)} | {"long": "x" * 7000, "none": None}
    digest = hashlib.sha256(b"data").hexdigest()
    with Tracking(uri=store).start(record) as run:
        assert status(run) == "RUNNING"
        run.log_record(record)
        run.log_parameters(many)
        run.log_metrics({"a": 1, "b": 0.5}, step=1)
        run.log_metrics({"a": 2.0}, step=2)
        run.log_dataset("uci", digest=digest, description="real scans")
        (record.folder / "figures").mkdir()
        (record.folder / "figures" / "one.png").write_bytes(b"png")
        run.log_folder(record.folder / "figures", "figures")
    found = run.client.get_run(run.id)
    assert found.info.status == "FINISHED"
    assert record.run_id() == run.id
    parameters = found.data.params
    assert parameters["seed"] == "3"
    assert parameters["p229"] == "229"
    assert parameters["long"] == "x" * 6000
    assert len(parameters) == len(many) + len(record.parameters)
    history = run.client.get_metric_history(run.id, "a")
    assert [(metric.step, metric.value) for metric in history] == [(1, 1.0), (2, 2.0)]
    tags = found.data.tags
    assert tags["digits.config_digest"] == "c0ffee"
    assert tags["digits.folder"] == str(record.folder)
    assert tags["digits.overrides"] == "seed=3"
    assert tags["digits.data_digest"] == digest
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?|unknown", tags["mlflow.source.git.commit"])
    (entry,) = found.inputs.dataset_inputs
    assert (entry.dataset.name, entry.dataset.digest) == ("uci", digest[:36])
    assert entry.tags[0].value == "training"
    assert "digits.error" not in tags
    assert {file.path for file in run.client.list_artifacts(run.id)} == {"config.yaml", "figures"}


@pytest.mark.parametrize(
    ("error", "expected", "told"),
    [
        (ValueError("two\nlines"), "FAILED", "ValueError: two\nlines"),
        (ValueError("x" * 9000), "FAILED", ("ValueError: " + "x" * 9000)[:500]),
        (KeyboardInterrupt(), "KILLED", None),
        (SystemExit(143), "KILLED", None),
    ],
    ids=["error", "long error", "Ctrl-C", "SIGTERM"],
)
def test_status_is_true_however_the_run_ends(store, record, error, expected, told):
    run = Tracking(uri=store).start(record)
    with pytest.raises(type(error)), run:
        raise error
    found = run.client.get_run(run.id)
    assert found.info.status == expected
    assert found.data.tags.get("digits.error") == told
    assert not monitors()


def test_run_of_some_seconds_has_system_metrics(store, record, monkeypatch):
    monkeypatch.setattr(run_module, "SAMPLING_SECONDS", 0.2)
    with Tracking(uri=store).start(record) as run:
        assert len(monitors()) == 1
        time.sleep(1.0)
    metrics = run.client.get_run(run.id).data.metrics
    assert metrics["system/cpu_utilization_percentage"] >= 0
    assert metrics["system/system_memory_usage_megabytes"] > 0
    assert not monitors()


def test_nothing_is_logged_about_missing_gpus(store, record, caplog):
    caplog.set_level(logging.INFO)
    with Tracking(uri=store).start(record):
        pass
    assert not [entry for entry in caplog.records if entry.name.startswith("mlflow")]


def test_reopened_run_goes_on(store, record):
    tracking = Tracking(uri=store)
    run = tracking.start(record)
    run.log_record(record)
    run.log_metrics({"a": 1.0}, step=1)
    with pytest.raises(KeyboardInterrupt), run:
        raise KeyboardInterrupt
    with tracking.reopen(record.run_id()) as again:
        assert status(again) == "RUNNING"
        again.log_record(record)  # the same parameters once more
        again.log_metrics({"a": 2.0}, step=2)
    assert again.id == run.id
    assert status(again) == "FINISHED"
    assert len(again.client.get_metric_history(run.id, "a")) == 2


def test_reopening_an_unknown_run_is_an_error(store):
    with pytest.raises(TrackingError, match="0123"):
        Tracking(uri=store).reopen("0123")


def test_run_is_the_child_of_its_sweep(store, record):
    with Tracking(uri=store, parent_run_id="feed").start(record) as run:
        pass
    found = run.client.get_run(run.id)
    assert found.data.tags["mlflow.parentRunId"] == "feed"
    assert found.info.run_name == "train-2020-01-01-12-00-00"


def test_fluent_state_is_left_alone(store, record):
    before = mlflow.get_tracking_uri(), mlflow.get_registry_uri()
    with Tracking(uri=store).start(record) as run:
        run.log_metrics({"a": 1.0})
        assert mlflow.active_run() is None
    assert (mlflow.get_tracking_uri(), mlflow.get_registry_uri()) == before


def broken(store):
    """Make every later write to the store fail."""
    with sqlite3.connect(store.removeprefix("sqlite:///")) as connection:
        for table in ("metrics", "runs", "params"):
            connection.execute(
                f"CREATE TRIGGER no_{table} BEFORE {'UPDATE' if table == 'runs' else 'INSERT'} "
                f"ON {table} BEGIN SELECT RAISE(FAIL, 'database or disk is full'); END"
            )
    connection.close()


def test_store_that_breaks_in_the_middle_is_a_tracking_error(store, record):
    run = Tracking(uri=store).start(record)
    broken(store)
    with pytest.raises(TrackingError, match="disk is full") as caught, run:
        run.log_metrics({"a": 1.0})
    assert "\n" not in str(caught.value)
    assert not monitors()


def test_broken_store_does_not_hide_why_the_run_ended(store, record, caplog):
    run = Tracking(uri=store).start(record)
    broken(store)
    with pytest.raises(ZeroDivisionError), run:
        raise ZeroDivisionError
    assert "could not be ended as FAILED" in caplog.text


def test_commit_of_a_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("DIGITS_COMMIT", raising=False)
    assert git_commit(tmp_path) == "unknown"
    monkeypatch.setenv("DIGITS_COMMIT", "c0ffee")  # as in an image
    assert git_commit(tmp_path) == "c0ffee"

    def git(*arguments):
        identity = ["-c", "user.name=n", "-c", "user.email=e@e"]
        command = ["git", "-C", str(tmp_path), *identity, *arguments]
        subprocess.run(command, check=True, capture_output=True)

    git("init")
    (tmp_path / "a").write_text("1")
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "b").write_text("1")
    git("add", "a", "results")
    git("commit", "-m", "one")
    clean = git_commit(tmp_path)
    assert re.fullmatch("[0-9a-f]{40}", clean)
    (tmp_path / "results" / "b").write_text("2")
    assert git_commit(tmp_path) == f"{clean}-dirty"
    assert git_commit(tmp_path, but="results") == clean
    (tmp_path / "a").write_text("2")
    assert git_commit(tmp_path, but="results") == f"{clean}-dirty"
