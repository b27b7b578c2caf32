"""The MLflow store: opened once and safely, whoever comes first; runs are opened on it."""

from __future__ import annotations

import json
import logging
import os
import socket
import sqlite3
import warnings
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import requests
from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import Run as RecordedRun
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, ErrorCode
from mlflow.utils.mlflow_tags import (
    MLFLOW_GIT_COMMIT,
    MLFLOW_PARENT_RUN_ID,
    MLFLOW_SOURCE_NAME,
)
from pydantic import Field
from sqlalchemy.engine import URL, make_url

from digits.contract.files import write_atomically
from digits.errors import TrackingError
from digits.tracking.environment import environment
from digits.tracking.faults import explained, without_password
from digits.tracking.record import Record, git_commit
from digits.tracking.run import Run
from digits.tracking.search import runs_where

# MLflow announces each schema migration of a new store, and each missing GPU, at INFO.
for _name in ("alembic", "mlflow.store.db.utils", "mlflow.system_metrics"):
    logging.getLogger(_name).setLevel(logging.WARNING)

ANSWER_SECONDS = 5.0
LOCKED_SECONDS = 30.0  # how long another process may be writing
SQLITE = "sqlite:///"
PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}


class Tracking:
    """Where runs are recorded: the `tracking` config group.

    Args:
        uri: ``sqlite:///<path>``, another database, or a server's http(s) address.
        experiment: name; created when missing.
        artifacts: folder or object-store address for a new experiment; None for the server's own,
            or for a folder beside the SQLite file.
        parent_run_id: runs become children of this one; in a sweep, the sweep's own run does.
    """

    def __init__(
        self,
        *,
        uri: str,
        experiment: Annotated[str, Field(min_length=1)] = "digits",
        artifacts: str | None = None,
        parent_run_id: str | None = None,
    ) -> None:
        self.uri = _absolute(uri)
        self.experiment = experiment
        self.artifacts = artifacts
        self.parent_run_id = parent_run_id

    def client(self) -> MlflowClient:
        """Open the store, creating it when it is new.

        Several processes may come at once: a new SQLite file is migrated under a lock, because
        MLflow's own migration breaks when two begin it together.

        Raises:
            TrackingError: it does not answer, or cannot be written.
        """
        with explained(self.uri):
            if self.uri.startswith(("http://", "https://")):
                _assert_answers(self.uri)
                return self._open()
            database = make_url(self.uri)
            if database.get_backend_name() != "sqlite":
                _assert_listens(database)
                return self._open()
            file = Path(_sqlite_file(database))
            file.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{file}.lock"):
                _assert_writable(file)
                return self._open()

    def _open(self) -> MlflowClient:
        with warnings.catch_warnings():
            # SQLAlchemy 2.1 deprecates `noload`, which MLflow still asks for.
            warnings.filterwarnings("ignore", message=".*noload.*")
            client = MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
            self._experiment_id(client)
        return client

    def _experiment_id(self, client: MlflowClient) -> str:
        found = client.get_experiment_by_name(self.experiment)
        if found is not None:
            return str(found.experiment_id)
        location = self._artifact_location()
        try:
            return str(client.create_experiment(self.experiment, artifact_location=location))
        except MlflowException as error:
            # Another process came first: the lock on a SQLite file does not hold on a server.
            exists = error.error_code == ErrorCode.Name(RESOURCE_ALREADY_EXISTS)
            found = client.get_experiment_by_name(self.experiment) if exists else None
            if found is None:
                raise
            return str(found.experiment_id)

    def _artifact_location(self) -> str | None:
        location = self.artifacts
        if location is None and self.uri.startswith(SQLITE):
            # MLflow's own choice would be a folder below wherever the command was typed.
            location = str(Path(_sqlite_file(make_url(self.uri))).with_name("artifacts"))
        if location is None or "://" in location:
            return location
        folder = Path(location).absolute()
        with explained(location, key="tracking.artifacts"):
            folder.mkdir(parents=True, exist_ok=True)
        return folder.as_uri()

    def start(self, record: Record) -> Run:
        """Open a new run for this job; use it as a context manager.

        Its tags say what it is from the first moment on, and its id stands in the run folder.
        """
        tags = {
            "digits.task": record.task,
            "digits.folder": str(record.folder),
            "digits.config_digest": record.config_digest,
            "digits.overrides": without_password(" ".join(record.overrides)),
            "digits.seed": str(record.seed),
            **environment(),
        }
        if record.job is not None:
            tags["digits.job"] = str(record.job)
        name = f"{record.task}-{record.folder.parent.name}-{record.folder.name}"
        run = self.create(name, tags, parent_run_id=record.parent_run_id)
        write_atomically(record.run_file, json.dumps({"run_id": run.id}) + "\n")
        return run

    def create(self, name: str, tags: Mapping[str, str], *, parent_run_id: str | None) -> Run:
        """Open a new run with these tags, below this parent (None: the store's own, if any)."""
        client = self.client()
        marks = {
            **tags,
            MLFLOW_SOURCE_NAME: "run.py",
            MLFLOW_GIT_COMMIT: git_commit(Path(__file__).parent),
        }
        parent = parent_run_id or self.parent_run_id
        if parent:
            marks[MLFLOW_PARENT_RUN_ID] = parent
        with explained(self.uri):
            created = client.create_run(self._experiment_id(client), tags=marks, run_name=name)
        return Run(client, created.info.run_id, uri=self.uri)

    def find(self, run_id: str) -> RecordedRun:
        """Read a run.

        Raises:
            TrackingError: the store has no such run, or does not answer.
        """
        client = self.client()
        with explained(self.uri):
            return client.get_run(run_id)

    def search(self, query: str) -> list[RecordedRun]:
        """Return the runs of the experiment that MLflow's ``query`` is true of, the oldest first.

        Raises:
            TrackingError: the store does not answer.
        """
        client = self.client()
        with explained(self.uri):
            return runs_where(client, self._experiment_id(client), query)

    def reopen(self, run_id: str) -> Run:
        """Open an existing run again, to go on with it; what it was started with stays as it is.

        Raises:
            TrackingError: the store has no such run.
        """
        client = self.client()
        with explained(self.uri):
            client.get_run(run_id)
            client.update_run(run_id, status="RUNNING")
        run = Run(client, run_id, uri=self.uri)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        run.set_tags({"digits.resumed": f"{now} {git_commit(Path(__file__).parent)}"})
        return run


def _absolute(uri: str) -> str:
    """Return ``uri`` with a relative SQLite path bound to the folder we are in now."""
    if not uri.startswith(SQLITE):
        return uri
    path, mark, query = uri.removeprefix(SQLITE).partition("?")
    if path in ("", ":memory:"):
        return uri
    return f"{SQLITE}{Path(path).expanduser().absolute()}{mark}{query}"


def _sqlite_file(url: URL) -> str:
    if url.database in (None, "", ":memory:"):
        raise TrackingError(
            f"tracking.uri: {url} names no file; write sqlite:/// and an absolute path"
        )
    return str(url.database)


def _assert_writable(file: Path) -> None:
    """Take the write lock once: MLflow tries a file that cannot be used again and again."""
    with closing(sqlite3.connect(file, timeout=LOCKED_SECONDS)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.rollback()


def _assert_listens(url: URL) -> None:
    """Connect to the database's port, before MLflow retries for minutes."""
    port = url.port or PORTS.get(url.get_backend_name())
    if url.host and port:
        socket.create_connection((url.host, port), timeout=ANSWER_SECONDS).close()


def _assert_answers(uri: str) -> None:
    """Ask a server for a sign of life, before MLflow's client retries for minutes."""
    insecure = os.environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in ("true", "1")
    try:
        # Any answer will do: a proxy may hide this page, or want the credentials MLflow sends.
        requests.get(f"{uri.rstrip('/')}/health", timeout=ANSWER_SECONDS, verify=not insecure)
    except (requests.ConnectionError, requests.Timeout) as error:
        raise TrackingError(
            f"tracking.uri: no MLflow server answers at {without_password(uri)}; start it, "
            f"correct the address, or record locally with tracking=local"
        ) from error
