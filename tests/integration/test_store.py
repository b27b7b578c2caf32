"""Opening the store: at once, at the right place, and with one clear message when it cannot be."""

from __future__ import annotations

import multiprocessing
import os
import socket
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient

from digits.errors import TrackingError
from digits.tracking.faults import without_password
from digits.tracking.store import Tracking
from tests.integration.places import UNUSABLE


def test_four_processes_create_one_store(tmp_path, monkeypatch):
    # One server imports MLflow, which takes seconds, and forks the four that then come at once.
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["digits.tracking.store"])
    tracking = Tracking(uri=f"sqlite:///{tmp_path}/new/mlflow.db")
    workers = [processes.Process(target=tracking.client) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0] * 4
    found = tracking.client().search_experiments(filter_string="name = 'digits'")
    assert len(found) == 1


def test_experiment_keeps_its_artifacts_at_an_absolute_place(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    client = Tracking(uri=store, artifacts="kept here").client()
    location = client.get_experiment_by_name("digits").artifact_location
    assert location == (tmp_path / "kept here").as_uri()


def test_artifacts_lie_beside_the_store_unless_told_otherwise(store, tmp_path, monkeypatch, record):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with Tracking(uri=store).start(record) as run:
        run.log_file(record.config_file)
    assert list((tmp_path / "artifacts").rglob("config.yaml"))
    assert not list((tmp_path / "elsewhere").iterdir())


def test_relative_store_stays_where_it_was_named(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tracking = Tracking(uri="sqlite:///mlflow.db")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert tracking.uri == store
    tracking.client()
    assert not list((tmp_path / "elsewhere").iterdir())


def refused_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize("scheme", ["http", "https", "postgresql", "mysql+pymysql"])
@pytest.mark.timeout(20)
def test_address_where_nobody_answers_is_told_at_once(scheme):
    uri = f"{scheme}://user:s3cret@127.0.0.1:{refused_port()}/mlflow"
    begin = time.monotonic()
    with pytest.raises(TrackingError, match=r"^tracking\.uri: ") as caught:
        Tracking(uri=uri).client()
    assert time.monotonic() - begin < 8
    message = str(caught.value)
    assert "user:***@127.0.0.1" in message
    assert "s3cret" not in message
    assert "\n" not in message


@pytest.mark.timeout(30)
def test_server_that_keeps_silent_is_given_up(monkeypatch):
    monkeypatch.setattr("digits.tracking.store.ANSWER_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        uri = f"http://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(TrackingError, match="no MLflow server answers at"):
            Tracking(uri=uri).client()


@pytest.mark.parametrize("place", UNUSABLE)
def test_sqlite_file_that_cannot_be_used_is_told_at_once(tmp_path, place):
    file = place(tmp_path, "mlflow.db")
    with pytest.raises(TrackingError, match=r"^tracking\.uri: ") as caught:
        Tracking(uri=f"sqlite:///{file}").client()
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write where nobody may")
def test_read_only_sqlite_file(store, tmp_path):
    (tmp_path / "mlflow.db").chmod(0o444)
    with pytest.raises(TrackingError, match="readonly"):
        Tracking(uri=store).client()


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("mlruns", "Could not parse"),
        ("nodb:///x", "nodb"),
    ],
)
def test_address_that_is_none_is_named(uri, message):
    with pytest.raises(TrackingError, match=message) as caught:
        Tracking(uri=uri).client()
    assert str(caught.value).startswith("tracking.uri: ")


def test_artifact_folder_that_cannot_be_made_names_its_key(store, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(TrackingError, match=r"^tracking\.artifacts: .*file/here"):
        Tracking(uri=store, artifacts=str(tmp_path / "file" / "here")).client()


@pytest.mark.parametrize(
    ("shown", "uri"),
    [
        ("postgresql://user:***@host/db", "postgresql://user:pa:ss%40@host/db"),
        ("http://host:5000/a", "http://host:5000/a"),
        ("sqlite:////tmp/a:b@c.db", "sqlite:////tmp/a:b@c.db"),
    ],
)
def test_password_is_not_shown(shown, uri):
    assert without_password(uri) == shown


def test_client_is_one_of_this_store_alone(store):
    client = Tracking(uri=store).client()
    assert isinstance(client, MlflowClient)
    assert client.tracking_uri == store
    assert client._registry_uri == store
