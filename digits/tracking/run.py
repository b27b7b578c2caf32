"""One tracked run: what is logged to it, and a status that is true however it ends."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT

from digits.errors import TrackingError
from digits.tracking.faults import explained
from digits.tracking.record import Record

log = logging.getLogger(__name__)

PARAMETER_CHARACTERS = 6000  # MLflow cuts longer values
BATCH = 100  # parameters or metrics in one request
DIGEST_CHARACTERS = 36  # MLflow refuses longer dataset digests
ERROR_CHARACTERS = 500
SAMPLING_SECONDS = 2.0


class Run:
    """An open run; leaving the ``with`` block ends it FINISHED, FAILED or KILLED.

    Every method that logs raises TrackingError when the store can no longer be written.
    """

    def __init__(self, client: MlflowClient, run_id: str, *, uri: str) -> None:
        self.client = client
        self.id = run_id
        self.uri = uri
        self._monitor: SystemMetricsMonitor | None = None

    def __enter__(self) -> Self:
        try:
            with explained(self.uri):
                self._monitor = SystemMetricsMonitor(
                    self.id,
                    sampling_interval=SAMPLING_SECONDS,
                    resume_logging=True,
                    tracking_uri=self.uri,
                )
                self._monitor.start()
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        status = "FINISHED"
        if kind is not None:
            # Ctrl-C and SIGTERM arrive as KeyboardInterrupt and SystemExit.
            status = "FAILED" if issubclass(kind, Exception) else "KILLED"
        try:
            self.end(status, f"{kind.__name__}: {error}" if kind and status == "FAILED" else "")
        except TrackingError as fault:
            if kind is None:
                raise
            log.warning("run %s could not be ended as %s: %s", self.id, status, fault)

    def end(self, status: str, reason: str = "") -> None:
        """Close the run as FINISHED, FAILED or KILLED, with the reason where there is one."""
        try:
            if self._monitor is not None:
                self._monitor.finish()
            if reason:
                self.set_tags({"digits.error": reason[:ERROR_CHARACTERS]})
        finally:
            with explained(self.uri):
                self.client.set_terminated(self.id, status)

    def log_record(self, record: Record) -> None:
        """Log the configuration that the run was started with."""
        self.log_parameters(record.parameters)
        self.log_file(record.config_file)

    def log_parameters(self, parameters: Mapping[str, Any]) -> None:
        """Log flat parameters; values beyond MLflow's limit are cut."""
        entries = [
            Param(key, str(value)[:PARAMETER_CHARACTERS]) for key, value in parameters.items()
        ]
        with explained(self.uri):
            for start in range(0, len(entries), BATCH):
                self.client.log_batch(self.id, params=entries[start : start + BATCH])

    def log_metrics(self, metrics: Mapping[str, float], *, step: int = 0) -> None:
        """Log numbers at ``step`` (epochs done) in one request."""
        now = int(time.time() * 1000)
        entries = [Metric(key, float(value), now, step) for key, value in metrics.items()]
        with explained(self.uri):
            self.client.log_batch(self.id, metrics=entries)

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags in one request."""
        entries = [RunTag(key, value) for key, value in tags.items()]
        with explained(self.uri):
            self.client.log_batch(self.id, tags=entries)

    def remove_tag(self, name: str) -> None:
        """Take a tag away, if the run has it."""
        with explained(self.uri):
            if name in self.client.get_run(self.id).data.tags:
                self.client.delete_tag(self.id, name)

    def log_file(self, file: Path, folder: str | None = None) -> None:
        """Store one file under the run's artifacts."""
        with explained(self._artifacts(), key="tracking.artifacts"):
            self.client.log_artifact(self.id, str(file), folder)

    def log_folder(self, source: Path, folder: str) -> None:
        """Store a whole folder under the run's artifacts."""
        with explained(self._artifacts(), key="tracking.artifacts"):
            self.client.log_artifacts(self.id, str(source), folder)

    def _artifacts(self) -> str:
        with explained(self.uri):
            return str(self.client.get_run(self.id).info.artifact_uri)

    def log_dataset(
        self, name: str, *, digest: str, description: str, context: str = "training"
    ) -> None:
        """Record which data this run learned from, or was for (``context``).

        MLflow's own digests cover a prefix of the data only, so ours is passed (cut to the length
        that MLflow allows; the whole one is a tag).
        """
        dataset = Dataset(
            name=name,
            digest=digest[:DIGEST_CHARACTERS],
            source_type="code",
            source=json.dumps({"tags": {"description": description}}),
        )
        entry = DatasetInput(dataset, [InputTag(MLFLOW_DATASET_CONTEXT, context)])
        with explained(self.uri):
            self.client.log_inputs(self.id, datasets=[entry])
        self.set_tags({"digits.data_digest": digest, "digits.data_name": name})
