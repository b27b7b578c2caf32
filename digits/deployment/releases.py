"""Tags of model versions that say where they are deployed; lineage shows them."""

from __future__ import annotations

from datetime import UTC, datetime

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from digits.deployment.ledger import Release
from digits.tracking.faults import explained


def tag(kind: str) -> str:
    """Return the name of the tag for deployments of one kind."""
    return f"deployment.{kind}"


def tag_release(
    client: MlflowClient, kind: str, address: str, *, out: Release, before: Release | None
) -> None:
    """Say of the version that is out where it is, and no longer of the one before.

    Raises:
        TrackingError: the registry does not answer.
    """
    if before is not None and before.model.number != out.model.number:
        untag_release(client, kind, before)
    if out.model.number is not None:
        value = f"{address} since {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        with explained(client.tracking_uri):
            client.set_model_version_tag(out.model.name, str(out.model.number), tag(kind), value)


def untag_release(client: MlflowClient, kind: str, release: Release) -> None:
    """Say no longer of a version that it is deployed; one that was deleted is passed over.

    Raises:
        TrackingError: the registry does not answer.
    """
    model = release.model
    if model.number is None:
        return
    with explained(client.tracking_uri):
        try:
            if tag(kind) in client.get_model_version(model.name, str(model.number)).tags:
                client.delete_model_version_tag(model.name, str(model.number), tag(kind))
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
