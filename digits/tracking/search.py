"""Search the runs of an experiment, however many there are."""

from __future__ import annotations

from mlflow import MlflowClient
from mlflow.entities import Run as RecordedRun

from digits.tracking.faults import explained

PAGE = 1000  # runs in one answer of the store


def runs_where(client: MlflowClient, experiment_id: str, query: str) -> list[RecordedRun]:
    """Return the runs that MLflow's ``query`` is true of, the oldest first.

    Raises:
        TrackingError: the store does not answer.
    """
    found: list[RecordedRun] = []
    token = None
    with explained(client.tracking_uri):
        while True:
            page = client.search_runs(
                [experiment_id],
                filter_string=query,
                order_by=["attributes.start_time ASC"],
                max_results=PAGE,
                page_token=token,
            )
            found += page
            token = page.token
            if not token:
                return found
