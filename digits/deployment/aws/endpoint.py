"""An endpoint of SageMaker: made, handed from one configuration to the next, and waited for."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from digits.deployment.aws.faults import AwsError, explained, missing_is_fine
from digits.deployment.aws.parts import Part, Stand, UnfinishedError
from digits.deployment.aws.session import Session
from digits.errors import DeploymentError

log = logging.getLogger(__name__)

ENDPOINT = "sagemaker-endpoint"
FIRST_LOOK_SECONDS = 0.5
LONGEST_LOOK_SECONDS = 15.0
TOLD_SECONDS = 30.0  # between two lines of the log
AT_WORK = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"})
BROKEN = frozenset({"Failed", "UpdateRollbackFailed", "OutOfService"})


class Endpoint(Part):
    """The endpoint, with the configuration that it is to have.

    Args:
        aws: where.
        name: of the endpoint.
        configuration: name of the endpoint configuration.
        update: further arguments of ``UpdateEndpoint``.
        wait_seconds: until it answers.
        detail: for a person.
        sleep: between two looks.
    """

    kind = ENDPOINT

    def __init__(
        self,
        aws: Session,
        name: str,
        configuration: str = "",
        *,
        update: Mapping[str, Any] | None = None,
        wait_seconds: float,
        detail: str = "",
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._aws, self.name, self.detail = aws, name, detail
        self._configuration, self._update = configuration, dict(update or {})
        self._wait_seconds, self._sleep = wait_seconds, sleep

    def described(self) -> dict[str, Any] | None:
        """Return what AWS says of it; None: it is not there."""
        try:
            with explained():
                found: dict[str, Any] = self._aws.client("sagemaker").describe_endpoint(
                    EndpointName=self.name
                )
        except AwsError as error:
            if error.is_missing:
                return None
            raise
        return found

    def size(self, found: Mapping[str, Any]) -> str:
        """Return what it runs on, out of what AWS says of it."""
        for variant in found.get("ProductionVariants", ()):
            if config := variant.get("CurrentServerlessConfig"):
                return (
                    f"serverless, {config['MemorySizeInMB']} MB, {config['MaxConcurrency']} at once"
                )
            return (
                f"{variant.get('CurrentInstanceCount', 0)} instances "
                f"of {variant.get('DesiredInstanceCount', 0)} wanted"
            )
        return "nothing yet"

    def check_mode(self, *, serverless: bool) -> None:
        """Hold what is there against the mode that is wanted: AWS has no way back from a change.

        Raises:
            DeploymentError: it has the other mode.
        """
        found = self.described() or {}
        for variant in found.get("ProductionVariants", ()):
            if ("CurrentServerlessConfig" in variant) != serverless:
                raise DeploymentError(
                    f"The endpoint {self.name} has the other deployment.mode, and cannot change "
                    f"it: action=destroy first, or choose another deployment.name"
                )

    def look(self) -> Stand:
        """See :meth:`Part.look`."""
        found = self.described()
        if found is None:
            return "create"
        stands = (found["EndpointStatus"], found["EndpointConfigName"])
        return "keep" if stands == ("InService", self._configuration) else "change"

    def make(self) -> None:
        """See :meth:`Part.make`; returns when it answers.

        Raises:
            DeploymentError: it failed, or AWS took the update back.
            UnfinishedError: it takes longer than ``wait_seconds``.
        """
        found = self._settled()
        if found is not None and found["EndpointStatus"] in BROKEN:
            self.remove()
            found = None
        which = {"EndpointName": self.name, "EndpointConfigName": self._configuration}
        client = self._aws.client("sagemaker")
        with explained():
            if found is None:
                client.create_endpoint(**which)
            elif found["EndpointConfigName"] != self._configuration:
                client.update_endpoint(**which, **self._update)
        self._check(self._settled())

    def remove(self) -> None:
        """Remove it, and wait until it is gone; one that AWS is at work on is waited for."""
        if self._settled() is None:
            return
        with missing_is_fine():
            self._aws.client("sagemaker").delete_endpoint(EndpointName=self.name)
        self._settled()

    def _check(self, found: dict[str, Any] | None) -> None:
        if found is None:
            raise DeploymentError(f"The endpoint {self.name} was removed by somebody else")
        status = found["EndpointStatus"]
        reason = found.get("FailureReason", "AWS gives no reason")
        if status in BROKEN:
            raise DeploymentError(
                f"The endpoint {self.name} is {status}: {reason}\n"
                f"Its log is /aws/sagemaker/Endpoints/{self.name} in CloudWatch"
            )
        if found["EndpointConfigName"] != self._configuration:
            raise DeploymentError(
                f"AWS took the update of {self.name} back, and the version before answers: {reason}"
            )

    def _settled(self) -> dict[str, Any] | None:
        """Wait until AWS is not at work on it; return what it says then."""
        began = told = time.monotonic()
        wait = FIRST_LOOK_SECONDS
        while (found := self.described()) is not None and found["EndpointStatus"] in AT_WORK:
            now = time.monotonic()
            if now - began > self._wait_seconds:
                raise UnfinishedError(
                    f"The endpoint {self.name} is still {found['EndpointStatus']} after "
                    f"{self._wait_seconds:g} s (deployment.wait_seconds)"
                )
            if now - told > TOLD_SECONDS:
                told = now
                log.info("%s is %s, %.0f s", self.name, found["EndpointStatus"], now - began)
            self._sleep(min(wait, self._wait_seconds))
            wait = min(2 * wait, LONGEST_LOOK_SECONDS)
        return found
