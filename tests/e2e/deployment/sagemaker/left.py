"""What a target has left at AWS."""

from __future__ import annotations

from typing import Any

from digits.deployment.aws.sagemaker import SageMaker


def changes(steps: list[Any]) -> dict[str, str]:
    return {each.what.split()[0]: each.change for each in steps}


def left(target: SageMaker) -> list[str]:
    """Return all that is at AWS."""
    client = target._aws.client
    found = [
        *(each["EndpointName"] for each in client("sagemaker").list_endpoints()["Endpoints"]),
        *client("sagemaker").list_endpoint_configs()["EndpointConfigs"],
        *client("sagemaker").list_models()["Models"],
        *client("s3").list_buckets()["Buckets"],
        *client("iam").list_roles()["Roles"],
        *client("logs").describe_log_groups()["logGroups"],
        *client("ecr").describe_repositories()["repositories"],
        *client("cloudwatch").describe_alarms()["MetricAlarms"],
        *client("application-autoscaling").describe_scalable_targets(ServiceNamespace="sagemaker")[
            "ScalableTargets"
        ],
    ]
    return [str(each) for each in found]
