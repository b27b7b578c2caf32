"""What is made, changed, kept, scaled, guarded and removed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from digits.deployment.aws.variant import Guardrails, RealTime, Scaling, Serverless
from digits.errors import DeploymentError
from tests.e2e.deployment.sagemaker.conftest import Make, Orders
from tests.e2e.deployment.sagemaker.host import Host
from tests.e2e.deployment.sagemaker.left import changes, left

pytestmark = [pytest.mark.service, pytest.mark.usefixtures("credentials"), pytest.mark.timeout(120)]

ON_INSTANCES = RealTime(
    instance_type="ml.c5.large",  # moto knows no later ones
    scaling=Scaling(min_instances=2, max_instances=4),
    guardrails=Guardrails(shift="canary"),
)


def test_serverless_is_made_once_and_leaves_nothing(make: Make, orders: Orders) -> None:
    first, *_ = orders
    target = make(serverless=Serverless(memory_mb=2048, max_concurrency=7))
    planned = target.plan(first)
    assert set(changes(planned).values()) == {"create"}
    assert left(target) == []
    assert [each.what for each in target.apply(first)] == [each.what for each in planned]
    assert set(changes(make(serverless=Serverless(2048, 7)).apply(first)).values()) == {"keep"}

    client = target._aws.client("sagemaker")
    name = target.status().address.split("/")[-2]
    configuration = client.describe_endpoint(EndpointName=name)["EndpointConfigName"]
    found = client.describe_endpoint_config(EndpointConfigName=configuration)
    (variant,) = found["ProductionVariants"]
    assert variant["ServerlessConfig"] == {"MemorySizeInMB": 2048, "MaxConcurrency": 7}
    model = client.describe_model(ModelName=variant["ModelName"])
    container = model["PrimaryContainer"]
    assert "@sha256:" in container["Image"]
    assert container["Environment"] == {
        "DIGITS_MODEL_VERSION": "digits/1",
        "DIGITS_MODEL_SHA256": first.model.onnx_sha256,
        "DIGITS_MODEL_MANIFEST_SHA256": first.model.manifest_sha256,
        "DIGITS_SERVING_DEPLOYMENT": "sagemaker",
    }
    assert model["ExecutionRoleArn"].endswith(f"role/{name}-sagemaker-eu-central-1")
    assert target.status().version == "digits/1"

    assert set(changes(target.destroy()).values()) == {"remove"}
    assert left(target) == []
    assert not target.folder.exists()


def test_the_role_may_do_no_more_than_it_has_to(make: Make, orders: Orders) -> None:
    target = make()
    target.apply(orders[0])
    name = target._wanted.name
    iam = target._aws.client("iam")
    role = f"{name}-sagemaker-eu-central-1"
    trust = iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]["Statement"][0]
    assert trust["Principal"] == {"Service": "sagemaker.amazonaws.com"}
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": target._aws.account}}
    policy = iam.get_role_policy(RoleName=role, PolicyName="digits")["PolicyDocument"]
    for statement in policy["Statement"]:
        assert "*" not in "".join(statement["Action"])
        if statement["Resource"] == "*":
            assert statement["Action"] in (
                ["ecr:GetAuthorizationToken"],
                ["cloudwatch:PutMetricData"],
            )
        else:
            assert name in statement["Resource"]
    bucket = next(each.name for each in target.ledger.resources if each.kind == "s3-bucket")
    s3 = target._aws.client("s3")
    assert all(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values())


def test_an_update_on_instances_is_guarded_and_scaled(
    make: Make, orders: Orders, host: Host
) -> None:
    first, second, _ = orders
    target = make(mode="realtime", realtime=ON_INSTANCES)
    target.apply(first)
    name = target._wanted.name
    host.asked.clear()
    target.apply(second)
    asked = dict(host.asked)["UpdateEndpoint"]
    assert asked["RetainAllVariantProperties"] is True
    assert asked["DeploymentConfig"] == {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {
                "Type": "CANARY",
                "WaitIntervalInSeconds": 300,
                "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 50},
            },
            "MaximumExecutionTimeoutInSeconds": 650,
        },
        "AutoRollbackConfiguration": {
            "Alarms": [{"AlarmName": f"{name}-errors"}, {"AlarmName": f"{name}-latency"}]
        },
    }
    scaling = target._aws.client("application-autoscaling")
    (found,) = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    assert (found["MinCapacity"], found["MaxCapacity"]) == (2, 4)
    (policy,) = scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    tracking = policy["TargetTrackingScalingPolicyConfiguration"]
    assert tracking["TargetValue"] == 30_000

    # Other limits change what watches it, and nothing else; a fixed number needs no scaling.
    limits = Guardrails(shift="canary", max_latency_ms=50)
    stricter = replace(ON_INSTANCES, guardrails=limits)
    found = changes(make(mode="realtime", realtime=stricter).plan(second))
    assert {kind for kind, change in found.items() if change != "keep"} == {"cloudwatch-alarm"}
    fixed = replace(ON_INSTANCES, scaling=Scaling(2, 2))
    make(mode="realtime", realtime=fixed).apply(second)
    assert not scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    target.destroy()
    assert left(target) == []


def test_alarms_take_an_update_back(make: Make, orders: Orders) -> None:
    first, second, _ = orders
    target = make(mode="realtime", realtime=ON_INSTANCES)
    target.apply(first)
    before = target.ledger.resources
    alarm = f"{target._wanted.name}-latency"
    target._aws.client("cloudwatch").set_alarm_state(
        AlarmName=alarm, StateValue="ALARM", StateReason="a test"
    )
    with pytest.raises(DeploymentError, match=r"took the update.*back.*-latency[\s\S]*is removed"):
        target.apply(second)
    assert target.status().version == "digits/1"
    assert target.ledger.resources == before
    target.destroy()
    assert left(target) == []


def test_only_this_release_and_the_one_before_are_kept(make: Make, orders: Orders) -> None:
    first, second, third = orders
    target = make()
    target.apply(first)
    target.apply(second)
    with_two = len(target.ledger.resources)
    planned = target.plan(third)
    steps = target.apply(third)
    assert sorted(each.what for each in steps) == sorted(each.what for each in planned)
    assert len(target.ledger.resources) <= with_two
    client = target._aws.client("sagemaker")
    assert len(client.list_models()["Models"]) == 2
    assert target.status().version == "digits/3"
    target.rollback()
    assert target.status().version == "digits/2"
    target.rollback()
    assert target.status().version == "digits/3"
    target.destroy()
    assert left(target) == []


def test_an_endpoint_that_somebody_removed_is_made_anew(
    make: Make, orders: Orders, host: Host
) -> None:
    target = make()
    target.apply(orders[0])
    del host.backend.endpoints[target._wanted.name]
    with pytest.raises(DeploymentError, match="is gone"):
        target.status()
    made_anew = changes(target.apply(orders[0]))
    assert made_anew.pop("sagemaker-endpoint") == "create"
    assert set(made_anew.values()) == {"keep"}
