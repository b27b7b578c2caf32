"""`deployment=lambda`: AWS's own emulator runs what moto's control plane was told of."""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from digits.deployment.aws import function_parts, package
from digits.deployment.aws.function import Lambda
from digits.deployment.aws.function_event import event
from digits.deployment.ledger import Ledger
from digits.deployment.target import Order
from digits.errors import DeploymentError
from scripts.emulated_function import measure_zip, unzip
from tests.e2e.deployment import aws_functions, aws_server, image_registry
from tests.e2e.deployment.conformance import check
from tests.e2e.deployment.image_registry import engine_with

pytestmark = [
    pytest.mark.service,
    pytest.mark.timeout(300),
    pytest.mark.usefixtures("credentials", "this_python"),
]
credentials = aws_server.credentials
RUNTIME = f"python3.{sys.version_info.minor}"
ZEROS = bytes(784)
OCTETS = "application/octet-stream"


@pytest.fixture
def this_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system here is newer than AWS's under Python 3.11."""
    monkeypatch.setitem(package.GLIBC, RUNTIME, 34)


@pytest.fixture(scope="session")
def cache() -> Path:
    """Kept from one run to the next: the libraries change with the lock alone."""
    home = os.environ.get("XDG_CACHE_HOME", "") or Path.home() / ".cache"
    return Path(home) / "digits" / "lambda"


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with aws_server.running(tmp_path_factory.mktemp("moto") / "log") as url:
        yield url


@pytest.fixture
def aws(moto: str, credentials: None, tmp_path: Path) -> Iterator[aws_functions.Functions]:
    with aws_functions.running(moto, tmp_path) as functions:
        yield functions
    urllib.request.urlopen(f"{moto}/moto-api/reset", b"", timeout=60).close()


@pytest.fixture
def unbuilt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Code of no use: where nobody asks the function, its 60 MB are not sent about."""
    empty = b"PK\x05\x06" + bytes(18)
    monkeypatch.setattr(package.Package, "build", lambda self: empty)


@pytest.fixture
def target(aws: aws_functions.Functions, cache: Path, tmp_path: Path) -> Callable[..., Lambda]:
    def target(**changes: Any) -> Lambda:
        folder = str(tmp_path / "deployments" / "lambda")
        given = {"runtime": RUNTIME, "endpoint_url": aws.url, "wait_seconds": 5.0, **changes}
        return Lambda(folder=folder, cache=str(cache), **given)

    return target


@pytest.fixture
def orders(bundles: tuple[Path, Path], order: Callable[..., Order]) -> tuple[Order, Order]:
    first, second = (order(bundle, number) for number, bundle in enumerate(bundles, 1))
    return first, second


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
    policy = iam.get_role_policy(RoleName="digits-lambda", PolicyName="digits")["PolicyDocument"]
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


@pytest.mark.usefixtures("unbuilt")
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


@pytest.mark.usefixtures("unbuilt")
def test_a_quota_is_named_what_was_made_is_listed_and_the_next_apply_goes_on(target, orders, aws):
    told = "Function code storage limit exceeded"
    aws.faults["POST /functions"] = (400, "CodeStorageExceededException", told)
    with pytest.raises(DeploymentError) as failed:
        target().apply(orders[0])
    message = str(failed.value)
    assert told in message and "Service Quotas" in message and "action=destroy" in message
    for made in ("log-group /aws/lambda/digits", "iam-role digits-lambda", "s3-object s3://"):
        assert made in message
    with pytest.raises(DeploymentError, match="Nothing is deployed"):
        target().status()
    aws.faults.clear()
    steps = {step.what: step.change for step in target().apply(orders[0])}
    assert steps["iam-role digits-lambda"] == "keep"
    assert steps["lambda-function digits"] == "create"
    assert target().status().version == "digits/1"
    target().destroy()


@pytest.mark.usefixtures("unbuilt")
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


@pytest.mark.usefixtures("unbuilt")
def test_a_role_that_aws_does_not_know_yet_is_waited_for(target, orders, aws, monkeypatch):
    monkeypatch.setattr(function_parts, "LOOK_SECONDS", 0.05)
    told = "The role defined for the function cannot be assumed by Lambda."
    aws.faults["POST /functions"] = (400, "InvalidParameterValueException", told)
    with pytest.raises(DeploymentError, match="cannot be assumed"):
        target(wait_seconds=0.5).apply(orders[0])
    target().destroy()


@pytest.mark.usefixtures("unbuilt")
def test_no_credentials_and_no_region(target, orders, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(DeploymentError, match="No AWS credentials that can be used: set"):
        target().plan(orders[0])
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(DeploymentError, match=r"deployment\.region"):
        target().plan(orders[0])
    assert not target().folder.exists()


def test_a_version_without_onnx_is_refused(target, order, bundles, tmp_path, monkeypatch):
    from digits.deployment.aws import function_shape

    ordered = order(bundles[0], 1)
    manifest = function_shape.verify(bundles[0])
    without = manifest.model_copy(update={"files": {}})
    monkeypatch.setattr(function_shape, "verify", lambda folder: without)
    with pytest.raises(DeploymentError, match=r"digits/1 has no model\.onnx"):
        target().plan(ordered)


@pytest.mark.usefixtures("unbuilt")
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


@pytest.mark.usefixtures("unbuilt")
def test_another_account_is_noticed(target, orders, aws, monkeypatch):
    target().apply(orders[0])
    with pytest.raises(DeploymentError, match="This deployment is in"):
        target(region="us-east-1").status()
    target().destroy()


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
