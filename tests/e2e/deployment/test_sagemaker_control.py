"""SageMaker's control plane: what is made, changed, refused, removed; no container runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from digits.deployment.aws.sagemaker import SageMaker
from digits.deployment.aws.variant import Guardrails, RealTime, Scaling, Serverless
from digits.deployment.engine import Engine
from digits.deployment.target import Order
from digits.errors import ConfigError, DeploymentError
from tests.e2e.deployment import aws_server, image_registry
from tests.e2e.deployment.sagemaker_host import Host

pytestmark = [pytest.mark.service, pytest.mark.usefixtures("credentials"), pytest.mark.timeout(120)]
credentials = aws_server.credentials

IMAGE = "digits-test-tiny"  # nothing in it: it is pushed, and never run
ON_INSTANCES = RealTime(
    instance_type="ml.c5.large",  # moto knows no later ones
    scaling=Scaling(min_instances=2, max_instances=4),
    guardrails=Guardrails(shift="canary"),
)
Make = Callable[..., SageMaker]
Orders = tuple[Order, Order, Order]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    try:
        engine = Engine.find()
    except DeploymentError as error:
        image_registry.lacking(str(error))
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "file").write_text("nothing")
    engine.load_folder(folder, IMAGE)
    return engine


@pytest.fixture(scope="module")
def registry(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with image_registry.running(tmp_path_factory.mktemp("registry")) as host:
        yield host


@pytest.fixture(scope="module")
def running_host() -> Iterator[Host]:
    with Host().running() as host:
        yield host


@pytest.fixture
def host(running_host: Host, credentials: None) -> Host:
    running_host.reset()
    return running_host


@pytest.fixture
def make(host: Host, registry: str, tmp_path: Path, request: pytest.FixtureRequest) -> Make:
    """Make the target as one command after the other does; the registry outlives each test."""
    name = f"t{abs(hash(request.node.name)) % 10**9}"

    def make(**values: Any) -> SageMaker:
        given = {
            "folder": str(tmp_path / "deployments" / "sagemaker"),
            "name": name,
            "image": IMAGE,
            "registry": registry,
            "endpoint_url": host.url,
            "wait_seconds": 650 if values.get("mode") == "realtime" else 20,
        }
        return SageMaker(**(given | values))

    return make


@pytest.fixture
def orders(bundles: tuple[Path, Path], order: Callable[..., Order]) -> Orders:
    first, second = bundles
    return order(first, 1), order(second, 2), order(first, 3)


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


def test_a_failed_endpoint_leaves_nothing(make: Make, orders: Orders, host: Host) -> None:
    host.failure = "The primary container did not pass the ping health check."
    target = make()
    with pytest.raises(DeploymentError, match=r"Failed: The primary.*\n.*CloudWatch\n.*removed"):
        target.apply(orders[0])
    assert left(target) == []
    assert not target.folder.exists()


@pytest.mark.parametrize(
    ("operation", "code", "told", "expected"),
    [
        ("CreateEndpoint", "ResourceLimitExceeded", "The limit is 0", r"Service Quotas"),
        ("CreateEndpointConfig", "AccessDeniedException", "may not", r"permission for it: docs/"),
        ("CreateModel", "ExpiredTokenException", "has expired", r"AWS_PROFILE.*has expired"),
    ],
)
def test_a_refusal_leaves_nothing_and_says_what_to_do(
    make: Make, orders: Orders, host: Host, operation: str, code: str, told: str, expected: str
) -> None:
    host.refusals[operation] = (code, told)
    target = make()
    with pytest.raises(DeploymentError, match=rf"{expected}[\s\S]*made is removed"):
        target.apply(orders[0])
    assert left(target) == []
    assert not target.folder.exists()


def test_what_takes_too_long_is_listed_waited_for_and_ended(
    make: Make, orders: Orders, host: Host
) -> None:
    host.hangs = True
    target = make(wait_seconds=1)
    with pytest.raises(DeploymentError, match=r"wait_seconds[\s\S]*action=apply waits") as caught:
        target.apply(orders[0])
    assert f"sagemaker-endpoint {target._wanted.name}" in str(caught.value)
    known = target.ledger.resources
    with pytest.raises(DeploymentError, match="still Creating"):
        target.destroy()
    assert target.ledger.resources == known
    host.backend.endpoints[target._wanted.name].endpoint_status = "InService"
    assert set(changes(target.apply(orders[0])).values()) == {"keep"}
    assert target.status().version == "digits/1"
    target.destroy()
    assert left(target) == []


def test_names_of_others_are_left_alone(make: Make, orders: Orders) -> None:
    theirs = make()
    theirs.apply(orders[0])
    there = left(theirs)
    target = make(folder=str(theirs.folder.with_name("another")))
    for act in (target.plan, target.apply):
        with pytest.raises(DeploymentError, match=r"exists already.*deployment\.name"):
            act(orders[0])
    assert target.destroy() == []
    assert left(theirs) == there


def test_a_mode_is_not_changed(make: Make, orders: Orders) -> None:
    make().apply(orders[0])
    with pytest.raises(DeploymentError, match=r"other deployment\.mode.*action=destroy"):
        make(mode="realtime").apply(orders[0])


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


def test_a_command_that_is_killed_is_finished_or_cleaned_up_by_the_next(
    make: Make, orders: Orders, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = make()

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("digits.deployment.aws.hosting.Configuration.make", killed)
        with pytest.raises(KeyboardInterrupt):
            target.apply(orders[0])
    assert left(target)
    assert make().destroy()
    assert left(target) == []
    target.apply(orders[0])


def test_another_account_is_not_touched(
    make: Make, orders: Orders, monkeypatch: pytest.MonkeyPatch
) -> None:
    make().apply(orders[0])
    other = make()
    monkeypatch.setattr("digits.deployment.aws.session.Session.account", "999999999999")
    for act in (lambda: other.apply(orders[1]), other.rollback, other.destroy):
        with pytest.raises(DeploymentError, match=r"123456789012/eu-central-1.*999999999999"):
            act()


def test_a_folder_keeps_one_deployment(make: Make, orders: Orders) -> None:
    target = make()
    target.apply(orders[0])
    with pytest.raises(DeploymentError, match=r"deployment\.name: .* has the deployment t"):
        make(name="renamed").apply(orders[1])
    renamed = make(name="renamed")
    assert renamed.status().version == "digits/1"  # a command without what was typed for apply
    renamed.destroy()
    assert left(target) == []


def test_nothing_to_go_back_to(make: Make, orders: Orders) -> None:
    target = make()
    target.apply(orders[0])
    with pytest.raises(DeploymentError, match="no way back"):
        target.rollback()


def test_what_lacks_is_said_before_anything_is_made(
    make: Make, orders: Orders, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = make(image="digits-test-none")
    with pytest.raises(DeploymentError, match=r"deployment\.image.*scripts/image sagemaker"):
        target.apply(orders[0])
    assert left(target) == []
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(DeploymentError, match="No AWS credentials"):
        make().plan(orders[0])
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(DeploymentError, match=r"deployment\.region"):
        make().plan(orders[0])
    assert not target.folder.exists()


def test_values_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"deployment\.realtime\.guardrails\.shift"):
        SageMaker(folder="x", mode="realtime", realtime=RealTime(guardrails=Guardrails("linear")))
    with pytest.raises(ConfigError, match=r"deployment\.realtime\.scaling\.max_instances"):
        SageMaker(folder="x", mode="realtime", realtime=RealTime(scaling=Scaling(3, 2)))
    linear = Guardrails("linear", shift_percent=10)
    with pytest.raises(ConfigError, match=r"deployment\.wait_seconds .* watched for 3000 s"):
        SageMaker(
            folder="x", mode="realtime", realtime=RealTime(scaling=Scaling(2, 4), guardrails=linear)
        )
    with pytest.raises(ConfigError, match=r"deployment\.serverless\.provisioned_concurrency"):
        SageMaker(folder="x", serverless=Serverless(provisioned_concurrency=6))
