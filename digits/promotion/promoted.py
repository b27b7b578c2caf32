"""Whether the gate stands behind a version: asked again by whoever is about to deploy it."""

from __future__ import annotations

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from digits.errors import RegistryError, RejectedError
from digits.promotion import champion
from digits.registry.versions import DECISION, PASSED, Version
from digits.tracking.faults import explained


def assert_promoted(client: MlflowClient, version: Version) -> None:
    """Hold that the gate's last word on a version is good, and that it is the champion.

    Raises:
        RejectedError: it is not.
        RegistryError: there is no such version.
        TrackingError: the registry does not answer.
    """
    with explained(client.tracking_uri):
        try:
            tags = client.get_model_version(version.name, str(version.number)).tags
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            raise RegistryError(f"promoted: there is no {version}") from error
    decision = tags.get(DECISION)
    if decision != PASSED:
        told = f"the gate has {decision} it" if decision else "the gate was never asked"
        raise RejectedError(f"promoted: {version} is not deployed: {told}")
    now = champion.pair(client, version.name).champion
    if now != version.number:
        told = f"version {now}" if now is not None else "none"
        raise RejectedError(f"promoted: {version} is not deployed: the champion is {told}")
