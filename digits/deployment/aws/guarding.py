"""What watches an endpoint on instances: alarms that take an update back, and its scaling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from digits.deployment.aws.faults import explained, missing_is_fine
from digits.deployment.aws.parts import Part, Stand
from digits.deployment.aws.session import Session
from digits.deployment.aws.variant import VARIANT, Guardrails, Scaling
from digits.deployment.ledger import Resource

ALARM = "cloudwatch-alarm"
SCALING = "scalable-target"
DIMENSION = "sagemaker:variant:DesiredInstanceCount"
METRIC = "SageMakerVariantInvocationsPerInstance"
MICROSECONDS = 1000.0  # in a millisecond; ModelLatency is in those


class Alarm(Part):
    """A figure of the endpoint that may not rise above a limit within a minute.

    Args:
        aws: where.
        name: of the alarm.
        endpoint: whose figure.
        measure: ``MetricName``, ``Statistic`` and ``Threshold``.
        detail: for a person.
    """

    kind = ALARM

    def __init__(
        self, aws: Session, name: str, endpoint: str, measure: Mapping[str, Any], *, detail: str
    ) -> None:
        self._aws, self.name, self.detail = aws, name, detail
        self._wanted = {
            "Namespace": "AWS/SageMaker",
            "Dimensions": [
                {"Name": "EndpointName", "Value": endpoint},
                {"Name": "VariantName", "Value": VARIANT},
            ],
            "Period": 60,
            "EvaluationPeriods": 1,
            "ComparisonOperator": "GreaterThanThreshold",
            "TreatMissingData": "notBreaching",  # nobody asks: nothing is wrong
            **measure,
        }

    def look(self) -> Stand:
        """See :meth:`Part.look`."""
        with explained():
            found = self._aws.client("cloudwatch").describe_alarms(AlarmNames=[self.name])
        if not found["MetricAlarms"]:
            return "create"
        present = found["MetricAlarms"][0]
        same = all(present.get(key) == value for key, value in self._wanted.items())
        return "keep" if same else "change"

    def make(self) -> None:
        """See :meth:`Part.make`."""
        with explained():
            self._aws.client("cloudwatch").put_metric_alarm(AlarmName=self.name, **self._wanted)


def alarms(aws: Session, endpoint: str, limits: Guardrails) -> list[Alarm]:
    """Return the alarms that roll an update of this endpoint back."""
    errors = {
        "MetricName": "Invocation5XXErrors",
        "Statistic": "Sum",
        "Threshold": float(limits.max_errors),
    }
    latency = {
        "MetricName": "ModelLatency",
        "Statistic": "Average",
        "Threshold": limits.max_latency_ms * MICROSECONDS,
    }
    return [
        Alarm(
            aws,
            f"{endpoint}-errors",
            endpoint,
            errors,
            detail=f"more than {limits.max_errors} answers 5xx in a minute",
        ),
        Alarm(
            aws,
            f"{endpoint}-latency",
            endpoint,
            latency,
            detail=f"more than {limits.max_latency_ms:g} ms on average over a minute",
        ),
    ]


class ScaledVariant(Part):
    """The number of instances follows the requests.

    Args:
        aws: where.
        endpoint: whose; it must be there.
        scaling: the range and the target.
    """

    kind = SCALING

    def __init__(self, aws: Session, endpoint: str, scaling: Scaling) -> None:
        self._aws = aws
        self.name = f"endpoint/{endpoint}/variant/{VARIANT}"
        self.detail = (
            f"{scaling.min_instances} to {scaling.max_instances} instances, "
            f"{scaling.requests_per_instance} requests a minute each"
        )
        self._range = {"MinCapacity": scaling.min_instances, "MaxCapacity": scaling.max_instances}
        self._tracking = {
            "TargetValue": float(scaling.requests_per_instance),
            "PredefinedMetricSpecification": {"PredefinedMetricType": METRIC},
            "ScaleOutCooldown": scaling.scale_out_seconds,
            "ScaleInCooldown": scaling.scale_in_seconds,
        }

    def look(self) -> Stand:
        """See :meth:`Part.look`."""
        client = self._aws.client("application-autoscaling")
        with explained():
            targets = client.describe_scalable_targets(
                ServiceNamespace="sagemaker", ResourceIds=[self.name], ScalableDimension=DIMENSION
            )["ScalableTargets"]
            policies = client.describe_scaling_policies(
                **_which(self.name), PolicyNames=[self._policy]
            )["ScalingPolicies"]
        if not targets:
            return "create"
        same_range = all(targets[0].get(key) == value for key, value in self._range.items())
        known = policies[0]["TargetTrackingScalingPolicyConfiguration"] if policies else {}
        same_policy = all(known.get(key) == value for key, value in self._tracking.items())
        return "keep" if same_range and same_policy else "change"

    def make(self) -> None:
        """See :meth:`Part.make`."""
        client = self._aws.client("application-autoscaling")
        with explained():
            client.register_scalable_target(**_which(self.name), **self._range)
            client.put_scaling_policy(
                **_which(self.name),
                PolicyName=self._policy,
                PolicyType="TargetTrackingScaling",
                TargetTrackingScalingPolicyConfiguration=self._tracking,
            )

    @property
    def _policy(self) -> str:
        return self.name.split("/")[1]


def _which(name: str) -> dict[str, str]:
    return {"ServiceNamespace": "sagemaker", "ResourceId": name, "ScalableDimension": DIMENSION}


def remove_alarm(aws: Session, resource: Resource) -> None:
    """Remove an alarm."""
    with missing_is_fine():
        aws.client("cloudwatch").delete_alarms(AlarmNames=[resource.name])


def remove_scaling(aws: Session, resource: Resource) -> None:
    """Let the number of instances be; the policy and its own alarms go with it."""
    with missing_is_fine():
        aws.client("application-autoscaling").deregister_scalable_target(**_which(resource.name))
