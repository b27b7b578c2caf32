"""A function does what every target has to do, and what only a function can."""

from __future__ import annotations

import json
from pathlib import Path

import boto3
import pytest

from digits.deployment.aws import package
from digits.deployment.aws.function_event import event
from digits.deployment.ledger import Ledger
from digits.errors import DeploymentError
from scripts.emulated_function import measure_zip, unzip
from tests.e2e.deployment import image_registry
from tests.e2e.deployment.conformance import check
from tests.e2e.deployment.image_registry import engine_with

pytestmark = [
    pytest.mark.service,
    pytest.mark.timeout(300),
    pytest.mark.usefixtures("credentials", "this_python"),
]
ZEROS = bytes(784)
OCTETS = "application/octet-stream"


def test_conformance(target, orders, aws):
    check(target(), *orders, anew=target)
    for service, operation, key in (
        ("lambda", "list_functions", "Functions"),
        ("iam", "list_roles", "Roles"),
        ("logs", "describe_log_groups", "logGroups"),
        ("s3", "list_buckets", "Buckets"),
    ):
        found = getattr(boto3.client(service, endpoint_url=aws.moto), operation)()
        assert not found[key], f"left at {service}: {found[key]}"


@pytest.mark.usefixtures("unbuilt")
def test_a_function_is_as_ordered(target, orders, aws):
    deployment = target(concurrency=7, memory_mb=512, timeout_seconds=9, log_days=3)
    steps = {step.what: step for step in deployment.apply(orders[0])}
    client = boto3.client("lambda", endpoint_url=aws.moto)
    found = client.get_function_configuration(FunctionName="digits", Qualifier="live")
    assert (found["MemorySize"], found["Timeout"], found["Version"]) == (512, 9, "1")
    variables = found["Environment"]["Variables"]
    assert variables["DIGITS_MODEL_VERSION"] == "digits/1"
    assert float(variables["DIGITS_SERVING_LIMITS__REQUEST_SECONDS"]) == 8
    reserved = client.get_function_concurrency(FunctionName="digits")
    assert reserved["ReservedConcurrentExecutions"] == 7
    assert "7 at once" in steps["lambda-function digits"].detail
    url = client.get_function_url_config(FunctionName="digits", Qualifier="live")
    assert url["AuthType"] == "AWS_IAM"
    (group,) = boto3.client("logs", endpoint_url=aws.moto).describe_log_groups()["logGroups"]
    assert group["retentionInDays"] == 3
    iam = boto3.client("iam", endpoint_url=aws.moto)
    policy = iam.get_role_policy(RoleName="digits-lambda-eu-central-1", PolicyName="digits")[
        "PolicyDocument"
    ]
    assert policy["Statement"] == [
        {
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": [f"{group['arn'].removesuffix(':*')}:*"],
        }
    ]
    status = deployment.status()
    assert status.version == "digits/1" and status.address == url["FunctionUrl"]
    assert dict(status.rows)["traffic"] == "100 % version 1"
    # Less of it: only what differs is changed.
    again = target(memory_mb=512, timeout_seconds=9, log_days=3).apply(orders[0])
    assert [step.what for step in again if step.change != "keep"] == ["lambda-function digits"]
    assert "ReservedConcurrentExecutions" not in client.get_function_concurrency(
        FunctionName="digits"
    )
    deployment.destroy()


def test_a_canary_gets_its_share_then_all_or_nothing(target, orders, aws):
    target().apply(orders[0])
    canary = target(canary_percent=30)
    told = {step.what: step.detail for step in canary.plan(orders[1])}
    assert told["lambda-alias digits:live"] == "70 % version 1, 30 % version to be published"
    canary.apply(orders[1])
    assert {step.change for step in canary.apply(orders[1])} == {"keep"}
    versions = [canary.ask(ZEROS, OCTETS).content["version"] for _ in range(60)]
    assert 6 <= versions.count("digits/2") <= 30 and set(versions) == {"digits/1", "digits/2"}
    assert dict(canary.status().rows)["traffic"] == "70 % version 1, 30 % version 2"
    assert canary.status().version == "digits/2"

    canary.rollback()
    assert {canary.ask(ZEROS, OCTETS).content["version"] for _ in range(20)} == {"digits/1"}
    assert canary.status().version == "digits/1"

    canary.apply(orders[1])
    target().apply(orders[1])  # all of it
    assert {canary.ask(ZEROS, OCTETS).content["version"] for _ in range(20)} == {"digits/2"}
    target().rollback()
    assert target().status().version == "digits/1"
    # What Lambda has already is neither built nor sent again.
    assert {step.change for step in target().apply(orders[0])} == {"keep"}
    target().destroy()


def test_keys_are_asked_for_where_anybody_may_knock(target, orders, aws, monkeypatch):
    with pytest.raises(DeploymentError, match=r"deployment\.url=keys: set DIGITS_API_KEYS"):
        target(url="keys").plan(orders[0])
    monkeypatch.setenv("DIGITS_API_KEYS", "one,other")
    deployment = target(url="keys")
    steps = deployment.apply(orders[0])
    assert not any("one" in step.detail.split() for step in steps)
    assert "other" not in (deployment.folder / "ledger.json").read_text()
    client = boto3.client("lambda", endpoint_url=aws.moto)
    url = client.get_function_url_config(FunctionName="digits", Qualifier="live")
    assert url["AuthType"] == "NONE"
    assert deployment.ask(ZEROS, OCTETS).status == 200
    monkeypatch.setenv("DIGITS_API_KEYS", "wrong")
    refused = deployment.ask(ZEROS, OCTETS)
    assert (refused.status, refused.content["code"]) == (401, "key_needed")
    changed = target(url="none").apply(orders[0])
    assert "lambda-url digits:live" in {s.what for s in changed if s.change == "remove"}
    assert target().status().address == "digits:live"
    target().destroy()


def test_an_image_is_pushed_runs_and_takes_over(target, orders, aws, tmp_path):
    engine = engine_with("digits-lambda")
    with image_registry.running(tmp_path) as registry:
        deployment = target(package="image", image="digits-lambda", registry=registry)
        steps = {step.what.split()[0]: step.change for step in deployment.apply(orders[0])}
        assert steps["ecr-repository"] == steps["ecr-image"] == "create"
        assert deployment.ask(ZEROS, OCTETS).content["version"] == "digits/1"
        refused = deployment.ask(b"<svg/>", "image/png")
        assert (refused.status, refused.content["code"]) == (422, "bad_image")
        client = boto3.client("lambda", endpoint_url=aws.moto)
        found = client.get_function(FunctionName="digits", Qualifier="live")
        assert found["Configuration"]["PackageType"] == "Image"
        assert f"{registry}/digits-function@sha256:" in aws.latest["digits"]["ImageUri"]
        assert {step.change for step in deployment.apply(orders[0])} == {"keep"}
        deployment.apply(orders[1])
        assert deployment.ask(ZEROS, OCTETS).content["version"] == "digits/2"
        deployment.rollback()
        assert deployment.ask(ZEROS, OCTETS).content["version"] == "digits/1"
        with pytest.raises(DeploymentError, match=r"is made of image.*action=destroy"):
            target().plan(orders[0])
        deployment.destroy()
    local = engine.run("image", "ls", "--format", "{{.Repository}}", "digits-function-with-model")
    assert not local


def test_a_cold_start_takes_little_of_a_processor(target, orders, aws, cache, tmp_path):
    """Seconds on the clock say more of what else runs here."""
    deployment = target()
    deployment.apply(orders[0])
    unzip(Path(aws.latest["digits"]["file"]), tmp_path / "function")
    found = measure_zip(tmp_path / "function", event(ZEROS, OCTETS), times=20)
    assert found.cold_cpu_seconds <= 0.5, found
    assert found.rss_mb <= 150, found
    assert Ledger(deployment.folder).current is not None
    size = sum(each.stat().st_size for each in (tmp_path / "function").rglob("*"))
    assert size < package.MOST_BYTES
    assert json.loads((tmp_path / "function" / "model" / "manifest.json").read_text())
    deployment.destroy()
