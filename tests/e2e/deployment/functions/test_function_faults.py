"""What can go wrong with a function: one message, and nothing is lost."""

from __future__ import annotations

from typing import Any

import pytest

from digits.deployment.aws import function_parts, function_shape
from digits.deployment.aws.function import Lambda
from digits.errors import DeploymentError
from tests.e2e.deployment.functions.conftest import RUNTIME

pytestmark = [
    pytest.mark.service,
    pytest.mark.timeout(300),
    pytest.mark.usefixtures("credentials", "this_python", "unbuilt"),
]


def test_a_function_of_somebody_else_is_left_alone(target, orders, aws):
    target().apply(orders[0])
    stranger = Lambda(
        folder=str(target().folder.with_name("stranger")),
        cache="/nowhere",
        runtime=RUNTIME,
        endpoint_url=aws.url,
    )
    for act in (stranger.plan, stranger.apply):
        with pytest.raises(DeploymentError, match=r"exists already.*deployment\.name"):
            act(orders[0])
    assert not stranger.folder.exists()
    assert stranger.destroy() == []
    assert target().status().version == "digits/1"
    target().destroy()


def test_a_quota_is_named_what_was_made_is_listed_and_the_next_apply_goes_on(target, orders, aws):
    told = "Function code storage limit exceeded"
    aws.faults["POST /functions"] = (400, "CodeStorageExceededException", told)
    with pytest.raises(DeploymentError) as failed:
        target().apply(orders[0])
    message = str(failed.value)
    assert told in message and "Service Quotas" in message and "action=destroy" in message
    for made in (
        "log-group /aws/lambda/digits",
        "iam-role digits-lambda-eu-central-1",
        "s3-object s3://",
    ):
        assert made in message
    with pytest.raises(DeploymentError, match="Nothing is deployed"):
        target().status()
    aws.faults.clear()
    steps = {step.what: step.change for step in target().apply(orders[0])}
    assert steps["iam-role digits-lambda-eu-central-1"] == "keep"
    assert steps["lambda-function digits"] == "create"
    assert target().status().version == "digits/1"
    target().destroy()


@pytest.mark.parametrize("where", ["POST /versions", "POST /aliases", "POST /url"])
def test_cut_short_anywhere_it_is_gone_on_with_or_removed(target, orders, aws, where):
    aws.faults[where] = (500, "ServiceException", "a bad day")
    with pytest.raises(DeploymentError, match="a bad day"):
        target().apply(orders[0])
    aws.faults.clear()
    target().apply(orders[0])
    assert target().status().version == "digits/1"
    aws.faults["DELETE /functions/digits"] = (500, "ServiceException", "a bad day")
    with pytest.raises(DeploymentError, match="lambda-function digits"):
        target().destroy()
    aws.faults.clear()
    assert [step.what for step in target().destroy()] == ["lambda-function digits"]
    assert not target().folder.exists()


def test_a_role_that_aws_does_not_know_yet_is_waited_for(target, orders, aws, monkeypatch):
    monkeypatch.setattr(function_parts, "LOOK_SECONDS", 0.05)
    told = "The role defined for the function cannot be assumed by Lambda."
    aws.faults["POST /functions"] = (400, "InvalidParameterValueException", told)
    with pytest.raises(DeploymentError, match="cannot be assumed"):
        target(wait_seconds=0.5).apply(orders[0])
    target().destroy()


def test_no_credentials_and_no_region(target, orders, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(DeploymentError, match="No AWS credentials that can be used: set"):
        target().plan(orders[0])
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(DeploymentError, match=r"deployment\.region"):
        target().plan(orders[0])
    assert not target().folder.exists()


def test_a_version_without_onnx_is_refused(target, order, bundles, tmp_path, monkeypatch):
    ordered = order(bundles[0], 1)
    manifest = function_shape.verify(bundles[0])
    without = manifest.model_copy(update={"files": {}})
    monkeypatch.setattr(function_shape, "verify", lambda folder: without)
    with pytest.raises(DeploymentError, match=r"digits/1 has no model\.onnx"):
        target().plan(ordered)


def test_what_is_not_ready_in_time_is_said_with_the_key(target, orders, aws, monkeypatch):
    monkeypatch.setattr(function_parts, "LOOK_SECONDS", 0.05)
    found = function_parts.configuration

    def pending(*place: Any) -> Any:
        answer = found(*place)
        return answer and {**answer, "State": "Pending"}

    monkeypatch.setattr(function_parts, "configuration", pending)
    with pytest.raises(DeploymentError, match=r"not ready after 0\.2 s.*deployment\.wait_seconds"):
        target(wait_seconds=0.2).apply(orders[0])
    monkeypatch.undo()


def test_another_account_is_noticed(target, orders, aws, monkeypatch):
    target().apply(orders[0])
    with pytest.raises(DeploymentError, match="This deployment is in"):
        target(region="us-east-1").status()
    target().destroy()
