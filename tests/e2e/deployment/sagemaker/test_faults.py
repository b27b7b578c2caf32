"""What goes wrong: one message that says what to do, and nothing is left, or it is listed."""

from __future__ import annotations

from typing import Any

import pytest

from digits.deployment.aws.sagemaker import SageMaker
from digits.deployment.aws.variant import Guardrails, RealTime, Scaling, Serverless
from digits.errors import ConfigError, DeploymentError
from tests.e2e.deployment.sagemaker.conftest import Make, Orders
from tests.e2e.deployment.sagemaker.host import Host
from tests.e2e.deployment.sagemaker.left import changes, left

pytestmark = [pytest.mark.service, pytest.mark.usefixtures("credentials"), pytest.mark.timeout(120)]


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
