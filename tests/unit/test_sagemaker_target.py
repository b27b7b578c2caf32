"""What goes to SageMaker and comes back, held without a server by botocore's own models."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from digits.contract.manifest import SCHEMA_VERSION, Manifest
from digits.contract.pointer import Pointed
from digits.contract.preprocessing import Preprocessing
from digits.deployment.aws.blueprint import Wanted, environment_of, update
from digits.deployment.aws.bundle import packed
from digits.deployment.aws.endpoint import Endpoint
from digits.deployment.aws.faults import AwsError, explained
from digits.deployment.aws.hosting import Model
from digits.deployment.aws.invocation import invoked
from digits.deployment.aws.session import Session
from digits.deployment.aws.variant import Guardrails, RealTime, Scaling, Serverless
from digits.errors import DeploymentError, RegistryError
from serving.settings import Limits, Log, Settings, Traffic

stub = pytest.importorskip("botocore.stub")
exceptions = pytest.importorskip("botocore.exceptions")

WANTED = Wanted("digits", "image", None, None, Serverless(), 30, 900)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Session:
    for name in [each for each in os.environ if each.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "none")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "none")
    return Session(region="eu-central-1")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    content = {"model.onnx": b"graph", "weights.safetensors": b"weights"}
    for name, each in content.items():
        (tmp_path / name).write_bytes(each)
    Manifest(
        schema_version=SCHEMA_VERSION,
        created=datetime(2020, 1, 2, tzinfo=UTC),
        labels=list("0123456789"),
        input={},
        output={},
        preprocessing=Preprocessing().to_dict(),
        files={name: hashlib.sha256(each).hexdigest() for name, each in content.items()},
        parameters=5,
        data_name="uci",
        data_digest="d",
        run_id="r",
    ).write(tmp_path)
    return tmp_path


def test_a_bundle_is_packed_to_the_same_bytes_whenever_and_by_whomever(bundle: Path) -> None:
    first = packed(bundle)
    (bundle / "model.onnx").chmod(0o600)
    os.utime(bundle / "model.onnx", (1, 1))
    assert packed(bundle) == first
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(first))) as archive:
        found = {each.name: (each.mode, each.uid, each.mtime) for each in archive}
    assert set(found) == {"manifest.json", "model.onnx", "weights.safetensors"}
    assert set(found.values()) == {(0o644, 0, 0)}
    (bundle / "model.onnx").write_bytes(b"other")
    with pytest.raises(RegistryError, match="was changed"):
        packed(bundle)


def test_the_container_is_told_what_was_chosen_and_no_secret(bundle: Path) -> None:
    model = Pointed(name="digits", number=3, folder=bundle, onnx_sha256="a" * 64)
    settings = Settings(
        pointer=bundle,
        port=9000,
        workers=2,
        limits=Limits(rate=5, batch=8),
        log=Log(requests="all"),
        traffic=Traffic(url="postgresql://someone@host/db"),
    )
    assert environment_of(settings, model) == {
        "DIGITS_MODEL_VERSION": "digits/3",
        "DIGITS_MODEL_SHA256": "a" * 64,
        "DIGITS_SERVING_DEPLOYMENT": "sagemaker",
        "DIGITS_SERVING_WORKERS": "2",
        "DIGITS_SERVING_LIMITS__RATE": "5.0",
        "DIGITS_SERVING_LIMITS__BATCH": "8",
        "DIGITS_SERVING_LOG__REQUESTS": "all",
    }
    unregistered = model.model_copy(update={"number": None})
    assert "DIGITS_MODEL_VERSION" not in environment_of(settings, unregistered)


def test_an_update_is_guarded_where_there_are_instances() -> None:
    assert update(WANTED, []) == {}
    linear = Guardrails("linear", shift_percent=30, bake_seconds=60)
    assert linear.watched_seconds == 240
    on_instances = RealTime(scaling=Scaling(3, 3), guardrails=linear)
    wanted = Wanted("digits", "image", None, None, on_instances, 30, 900)
    asked = update(wanted, ["digits-errors"])
    assert asked["RetainAllVariantProperties"] is False  # their number is the order's
    policy = asked["DeploymentConfig"]["BlueGreenUpdatePolicy"]
    assert policy["MaximumExecutionTimeoutInSeconds"] == 900
    assert policy["TrafficRoutingConfiguration"] == {
        "Type": "LINEAR",
        "WaitIntervalInSeconds": 60,
        "LinearStepSize": {"Type": "CAPACITY_PERCENT", "Value": 30},
    }


def test_a_role_that_aws_does_not_know_yet_is_waited_for(aws: Session) -> None:
    waits: list[float] = []
    model = Model(
        aws,
        "digits",
        {"image": "i"},
        lambda: {"ExecutionRoleArn": f"arn:aws:iam::{'1' * 12}:role/digits"},
        detail="",
        sleep=waits.append,
    )
    with stub.Stubber(aws.client("sagemaker")) as sagemaker:
        sagemaker.add_client_error(
            "create_model", "ValidationException", "Could not assume role arn:aws:iam::1:role/x"
        )
        sagemaker.add_response("create_model", {"ModelArn": "arn:aws:sagemaker:eu-central-1:1:m"})
        model.make()
        sagemaker.assert_no_pending_responses()
        sagemaker.add_client_error("create_model", "ValidationException", "No such image")
        with pytest.raises(AwsError, match="No such image"):
            model.make()
    assert len(waits) == 1


def test_an_update_is_asked_for_once_and_waited_for(aws: Session) -> None:
    """``UpdateEndpoint`` against botocore's model of it: moto has none."""
    waits: list[float] = []
    guarded = Guardrails("canary").update(["digits-errors"], 1800)
    endpoint = Endpoint(
        aws,
        "digits",
        "digits-new",
        update={"RetainAllVariantProperties": True, "DeploymentConfig": guarded},
        wait_seconds=60,
        sleep=waits.append,
    )
    states = [("InService", "digits-old"), ("Updating", "digits-old"), ("InService", "digits-new")]
    with stub.Stubber(aws.client("sagemaker")) as sagemaker:
        for number, (state, configuration) in enumerate(states):
            sagemaker.add_response("describe_endpoint", _described(state, configuration))
            if number == 0:
                sagemaker.add_response(
                    "update_endpoint",
                    {"EndpointArn": f"arn:aws:sagemaker:eu-central-1:{'1' * 12}:endpoint/digits"},
                    {
                        "EndpointName": "digits",
                        "EndpointConfigName": "digits-new",
                        "RetainAllVariantProperties": True,
                        "DeploymentConfig": guarded,
                    },
                )
        endpoint.make()
        sagemaker.assert_no_pending_responses()
    assert waits == [0.5]


def test_what_the_container_refuses_comes_back_as_it_said_it(aws: Session) -> None:
    said = {"error": "pixels: 784 are needed", "code": "bad_shape"}
    with stub.Stubber(aws.client("sagemaker-runtime")) as runtime:
        runtime.add_client_error(
            "invoke_endpoint",
            "ModelError",
            "Received client error (422) from primary",
            424,
            modeled_fields={"OriginalStatusCode": 422, "OriginalMessage": json.dumps(said)},
        )
        reply = invoked(aws, "digits", b"x", "application/octet-stream")
        assert (reply.status, reply.content) == (422, said)
        runtime.add_client_error(
            "invoke_endpoint",
            "ModelError",
            modeled_fields={"OriginalStatusCode": 502, "OriginalMessage": "<html>"},
        )
        with pytest.raises(DeploymentError, match="digits answers 502, and not in JSON: <html>"):
            invoked(aws, "digits", b"x", "application/octet-stream")
        runtime.add_client_error("invoke_endpoint", "ValidationError", "Endpoint digits not found.")
        with pytest.raises(AwsError, match="Endpoint digits not found"):
            invoked(aws, "digits", b"x", "application/octet-stream")


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("ResourceLimitExceeded", "Service Quotas"),
        ("AccessDeniedException", "permission for it"),
        ("ExpiredToken", "No AWS credentials that can be used"),
        ("Throttling", r"AWS refuses CreateEndpoint: told \(Throttling\)$"),
    ],
)
def test_a_refusal_says_what_to_do(code: str, expected: str) -> None:
    error = exceptions.ClientError({"Error": {"Code": code, "Message": "told"}}, "CreateEndpoint")
    with pytest.raises(AwsError, match=expected), explained():
        raise error


def test_a_long_refusal_is_cut_short() -> None:
    told = {"Error": {"Code": "ValidationException", "Message": "word " * 1000}}
    with pytest.raises(AwsError) as caught, explained():
        raise exceptions.ClientError(told, "CreateEndpointConfig")
    assert len(str(caught.value)) < 600


def test_the_check_of_a_configuration_loads_no_boto3() -> None:
    code = "import sys, digits.deployment.aws.sagemaker; sys.exit('boto3' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def _described(state: str, configuration: str) -> dict[str, object]:
    now = datetime(2020, 1, 2, tzinfo=UTC)
    return {
        "EndpointName": "digits",
        "EndpointArn": f"arn:aws:sagemaker:eu-central-1:{'1' * 12}:endpoint/digits",
        "EndpointConfigName": configuration,
        "EndpointStatus": state,
        "CreationTime": now,
        "LastModifiedTime": now,
    }
