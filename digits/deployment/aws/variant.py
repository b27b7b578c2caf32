"""What an endpoint of SageMaker runs on: without servers, or on instances that scale."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

VARIANT = "all"  # the one variant: it must have the same name in every endpoint configuration

Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[int, Field(ge=0, le=3600)]


@dataclass(frozen=True)
class Serverless:
    """Paid by the request; nothing runs, and nothing is paid, while nobody asks.

    Attributes:
        memory_mb: of each copy; processor time comes with it.
        max_concurrency: requests at work at once; AWS answers more with 429.
        provisioned_concurrency: copies that are always warm, and paid for; null: none.
    """

    memory_mb: Literal[1024, 2048, 3072, 4096, 5120, 6144] = 1024
    max_concurrency: Annotated[int, Field(ge=1, le=200)] = 5
    provisioned_concurrency: Annotated[int, Field(ge=1, le=200)] | None = None

    def variant(self, model: str) -> dict[str, Any]:
        """Return the production variant as ``CreateEndpointConfig`` takes it."""
        config = {"MemorySizeInMB": self.memory_mb, "MaxConcurrency": self.max_concurrency}
        if self.provisioned_concurrency is not None:
            config["ProvisionedConcurrency"] = self.provisioned_concurrency
        return {"VariantName": VARIANT, "ModelName": model, "ServerlessConfig": config}

    def faults(self, _wait_seconds: float) -> list[tuple[str, str]]:
        """Return (key, what is wrong) of values that do not go together."""
        if (self.provisioned_concurrency or 0) > self.max_concurrency:
            return [("serverless.provisioned_concurrency", "is more than max_concurrency")]
        return []

    def __str__(self) -> str:
        warm = f", {self.provisioned_concurrency} warm" if self.provisioned_concurrency else ""
        return f"serverless, {self.memory_mb} MB, {self.max_concurrency} at once{warm}"


@dataclass(frozen=True)
class Scaling:
    """How many instances there are.

    Attributes:
        min_instances, max_instances: the range; the same number twice: no scaling.
        requests_per_instance: a minute, that the number of instances is held to.
        scale_out_seconds, scale_in_seconds: between two changes upwards, and downwards.
    """

    min_instances: Count = 1
    max_instances: Count = 2
    requests_per_instance: Count = 30_000
    scale_out_seconds: Seconds = 60
    scale_in_seconds: Seconds = 300

    @property
    def is_on(self) -> bool:
        """Whether the number of instances ever changes."""
        return self.min_instances < self.max_instances


@dataclass(frozen=True)
class Guardrails:
    """How a new version takes over from the old one, and what takes it back.

    Attributes:
        shift: all at once; canary: ``shift_percent`` first, then the rest; linear: by that much.
        shift_percent: of the instances.
        bake_seconds: that alarms are watched after each step, before the old instances end.
        max_errors: answers 5xx in a minute; more roll the update back.
        max_latency_ms: of an answer within the container, on average over a minute; more roll it
            back.
    """

    shift: Literal["all_at_once", "canary", "linear"] = "all_at_once"
    shift_percent: Annotated[int, Field(ge=10, le=50)] = 50
    bake_seconds: Seconds = 300
    max_errors: Annotated[int, Field(ge=0)] = 5
    max_latency_ms: Annotated[float, Field(gt=0)] = 200.0

    @property
    def watched_seconds(self) -> int:
        """The time that alarms are watched, over all steps."""
        steps = {"all_at_once": 1, "canary": 2, "linear": math.ceil(100 / self.shift_percent)}
        return steps[self.shift] * self.bake_seconds

    def update(self, alarms: list[str], longest: int) -> dict[str, Any]:
        """Return ``DeploymentConfig`` of ``UpdateEndpoint``.

        Args:
            alarms: names of those that roll it back.
            longest: seconds that the whole update may take.
        """
        routing: dict[str, Any] = {
            "Type": self.shift.upper(),
            "WaitIntervalInSeconds": self.bake_seconds,
        }
        if self.shift != "all_at_once":
            size = "CanarySize" if self.shift == "canary" else "LinearStepSize"
            routing[size] = {"Type": "CAPACITY_PERCENT", "Value": self.shift_percent}
        return {
            "BlueGreenUpdatePolicy": {
                "TrafficRoutingConfiguration": routing,
                "MaximumExecutionTimeoutInSeconds": min(max(longest, 600), 28_800),
            },
            "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": each} for each in alarms]},
        }


@dataclass(frozen=True)
class RealTime:
    """Instances of our own, running and paid for until the endpoint is destroyed.

    Attributes:
        instance_type: of SageMaker, for example ``ml.c7i.large``.
        scaling: how many.
        guardrails: how they are replaced.
    """

    instance_type: Annotated[str, Field(pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9-]+$")] = "ml.c7i.large"
    scaling: Scaling = Scaling()
    guardrails: Guardrails = Guardrails()

    def variant(self, model: str) -> dict[str, Any]:
        """Return the production variant as ``CreateEndpointConfig`` takes it."""
        return {
            "VariantName": VARIANT,
            "ModelName": model,
            "InstanceType": self.instance_type,
            "InitialInstanceCount": self.scaling.min_instances,
            "InitialVariantWeight": 1.0,
            "ContainerStartupHealthCheckTimeoutInSeconds": 120,
        }

    def faults(self, wait_seconds: float) -> list[tuple[str, str]]:
        """Return (key, what is wrong) of values that do not go together."""
        found = []
        if self.scaling.max_instances < self.scaling.min_instances:
            found.append(("realtime.scaling.max_instances", "is less than min_instances"))
        if self.guardrails.shift != "all_at_once" and self.scaling.min_instances < 2:
            fault = "needs two instances at least: deployment.realtime.scaling.min_instances=2"
            found.append(("realtime.guardrails.shift", fault))
        if wait_seconds <= self.guardrails.watched_seconds:
            fault = f"alarms are watched for {self.guardrails.watched_seconds} s of it: more"
            found.append(("wait_seconds", fault))
        return found

    def __str__(self) -> str:
        least, most = self.scaling.min_instances, self.scaling.max_instances
        count = str(least) if least == most else f"{least} to {most}"
        return f"real-time, {count} × {self.instance_type}"
