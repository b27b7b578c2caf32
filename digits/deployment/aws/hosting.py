"""What an endpoint of SageMaker stands on: its model, its configuration and its log."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from digits.deployment.aws.faults import AwsError, explained, missing_is_fine
from digits.deployment.aws.parts import Part, Stand
from digits.deployment.aws.session import Session
from digits.deployment.ledger import Resource

MODEL = "sagemaker-model"
CONFIGURATION = "sagemaker-endpoint-config"
LOG_GROUP = "log-group"
ROLE_SECONDS = 60.0  # until all of AWS knows a role that was just made
ROLE_LOOK_SECONDS = 3.0
HASH = 12  # characters of a digest that make a name unique


class LogGroup(Part):
    """The log of an endpoint, made by us so that it is kept for a while only, and removed.

    Args:
        aws: where.
        endpoint: whose.
        days: that a line is kept, one of those that CloudWatch knows.
    """

    kind = LOG_GROUP

    def __init__(self, aws: Session, endpoint: str, *, days: int) -> None:
        self._aws, self._days = aws, days
        self.name = f"/aws/sagemaker/Endpoints/{endpoint}"  # SageMaker's choice, not ours
        self.detail = f"kept {days} days"

    def look(self) -> Stand:
        """See :meth:`Part.look`."""
        with explained():
            found = self._aws.client("logs").describe_log_groups(logGroupNamePrefix=self.name)
        for group in found["logGroups"]:
            if group["logGroupName"] == self.name:
                return "keep" if group.get("retentionInDays") == self._days else "change"
        return "create"

    def make(self) -> None:
        """See :meth:`Part.make`."""
        logs = self._aws.client("logs")
        is_new = self.look() == "create"
        with explained():
            if is_new:
                logs.create_log_group(logGroupName=self.name)
            logs.put_retention_policy(logGroupName=self.name, retentionInDays=self._days)


class Model(Part):
    """An image, a bundle and the role to fetch both; its name says which.

    Args:
        aws: where.
        prefix: of the name.
        identity: of what runs in it; the name holds its digest.
        definition: gives ``PrimaryContainer`` and the rest of ``CreateModel``, when it is made.
        detail: for a person.
        sleep: between two tries.
    """

    kind = MODEL

    def __init__(
        self,
        aws: Session,
        prefix: str,
        identity: Mapping[str, Any],
        definition: Callable[[], Mapping[str, Any]],
        *,
        detail: str,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._aws, self._definition, self._sleep = aws, definition, sleep
        self.name, self.detail = named(prefix, identity), detail

    def look(self) -> Stand:
        """See :meth:`Part.look`."""
        return _present(self._aws, "describe_model", ModelName=self.name)

    def make(self) -> None:
        """See :meth:`Part.make`; a role that was just made takes AWS a while to believe in."""
        end = time.monotonic() + ROLE_SECONDS
        while True:
            try:
                with explained():
                    self._aws.client("sagemaker").create_model(
                        ModelName=self.name, **self._definition()
                    )
                return
            except AwsError as error:
                young = error.code == "ValidationException" and "role" in error.told.lower()
                if not young or time.monotonic() > end:
                    raise
            self._sleep(ROLE_LOOK_SECONDS)


class Configuration(Part):
    """Which model runs on what; SageMaker never changes one, so its name says what is in it.

    Args:
        aws: where.
        prefix: of the name.
        variant: as ``CreateEndpointConfig`` takes it.
        detail: for a person.
    """

    kind = CONFIGURATION

    def __init__(
        self, aws: Session, prefix: str, variant: Mapping[str, Any], *, detail: str
    ) -> None:
        self._aws, self._variant = aws, variant
        self.name, self.detail = named(prefix, variant), detail

    def look(self) -> Stand:
        """See :meth:`Part.look`."""
        return _present(self._aws, "describe_endpoint_config", EndpointConfigName=self.name)

    def make(self) -> None:
        """See :meth:`Part.make`."""
        with explained():
            self._aws.client("sagemaker").create_endpoint_config(
                EndpointConfigName=self.name, ProductionVariants=[self._variant]
            )


def named(prefix: str, content: Mapping[str, Any]) -> str:
    """Return a name that is the same for the same content, and for no other."""
    text = json.dumps(content, sort_keys=True, default=str)
    return f"{prefix}-{hashlib.sha256(text.encode()).hexdigest()[:HASH]}"


def _present(aws: Session, operation: str, **which: str) -> Stand:
    try:
        with explained():
            getattr(aws.client("sagemaker"), operation)(**which)
    except AwsError as error:
        if error.is_missing:
            return "create"
        raise
    return "keep"


def remove_log_group(aws: Session, resource: Resource) -> None:
    """Remove an endpoint's log."""
    with missing_is_fine():
        aws.client("logs").delete_log_group(logGroupName=resource.name)


def remove_model(aws: Session, resource: Resource) -> None:
    """Remove a model."""
    with missing_is_fine():
        aws.client("sagemaker").delete_model(ModelName=resource.name)


def remove_configuration(aws: Session, resource: Resource) -> None:
    """Remove the configuration of an endpoint."""
    with missing_is_fine():
        aws.client("sagemaker").delete_endpoint_config(EndpointConfigName=resource.name)
