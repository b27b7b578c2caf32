"""Tags of model versions that say where they are deployed; lineage shows them."""

from __future__ import annotations

from datetime import UTC, datetime

from mlflow import MlflowClient

from digits.deployment.ledger import Release
from digits.tracking.faults import explained


def tag(kind: str) -> str:
    """Return the name of the tag for deployments of one kind."""
    return f"deployment.{kind}"


def tag_release(
    client: MlflowClient, kind: str, address: str, *, out: Release, before: Release | None
) -> None:
    """Say of the version that is out where it is, and of no other of its model any longer.

    Args:
        client: of the registry.
        kind: of the deployment.
        address: where it answers.
        out: what is out now; without a number it is in no registry.
        before: what was out before it, perhaps of another model.

    Raises:
        TrackingError: the registry does not answer.
    """
    if before is not None and before.model.name != out.model.name:
        untag_release(client, kind, before)
    untag_release(client, kind, out, keep=out.model.number)
    if out.model.number is not None:
        value = f"{address} since {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        with explained(client.tracking_uri):
            client.set_model_version_tag(out.model.name, str(out.model.number), tag(kind), value)


def untag_release(
    client: MlflowClient, kind: str, release: Release, *, keep: int | None = None
) -> None:
    """Say of no version of a model that it is deployed, but of ``keep``.

    All are looked at: a command that could not reach the registry has left its tag behind.

    Raises:
        TrackingError: the registry does not answer.
    """
    name = release.model.name
    if not name:
        return
    with explained(client.tracking_uri):
        for found in client.search_model_versions(f"name='{name}' and tags.`{tag(kind)}` LIKE '%'"):
            if int(found.version) != keep:
                client.delete_model_version_tag(name, str(found.version), tag(kind))
