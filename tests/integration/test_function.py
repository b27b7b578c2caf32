"""`deployment=lambda` and `sagemaker` against moto in this process: whose is what, and the keys."""

from __future__ import annotations

import os
import sys

import pytest

from digits.contract.manifest import MANIFEST, ONNX, sha256_of
from digits.contract.pointer import Pointed, Pointer
from digits.deployment.aws import function_parts, function_removal, package
from digits.deployment.aws.function import Lambda
from digits.deployment.aws.sagemaker import SageMaker
from digits.deployment.aws.session import Session
from digits.deployment.resolve import Watch
from digits.deployment.target import Order
from digits.errors import DeploymentError
from serving.settings import Settings

moto = pytest.importorskip("moto", reason="the extra dev is not installed")

RUNTIME = f"python3.{sys.version_info.minor}"
CLOSED = {"UpdateFunctionUrlConfig", "DeleteFunctionUrlConfig"}


@pytest.fixture
def credentials(monkeypatch):
    for name in [each for each in os.environ if each.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "none")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "none")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")


@pytest.fixture
def target(credentials, monkeypatch, tmp_path):
    """Make the target as one command after the other does; its code is of no use."""
    monkeypatch.setitem(package.GLIBC, RUNTIME, 34)
    monkeypatch.setattr(package.Package, "build", lambda self: b"PK\x05\x06" + bytes(18))
    monkeypatch.setattr(function_parts, "LOOK_SECONDS", 0.01)
    monkeypatch.setenv("DIGITS_API_KEYS", "one")
    folder = str(tmp_path / "deployments" / "lambda")

    def target(**changes):
        given = {"folder": folder, "runtime": RUNTIME, "wait_seconds": 1.0, **changes}
        return Lambda(cache=str(tmp_path / "cache"), **given)

    with moto.mock_aws():
        yield target


@pytest.fixture
def orders(make, tmp_path):
    return [_order(make, tmp_path, number) for number in (1, 2)]


def _order(make, tmp_path, number):
    folder = tmp_path / f"bundle-{number}"
    make(folder, run_id=f"run{number}")
    model = Pointed(
        name="digits",
        number=number,
        folder=folder,
        onnx_sha256=sha256_of(folder / ONNX),
        manifest_sha256=sha256_of(folder / MANIFEST),
    )
    pointer = tmp_path / "pointer.json"
    watch = Watch(
        pointer=pointer, tracking_uri="sqlite:///x", version=str(number), cache=tmp_path / "cache"
    )
    return Order(Settings(pointer=pointer), watch, Pointer(champion=model))


def answering(target):
    """Return the version behind the alias, and what the URL asks for."""
    client, place = target._aws.client("lambda"), {"FunctionName": "digits"}
    version = client.get_alias(**place, Name="live")["FunctionVersion"]
    return version, client.get_function_url_config(**place, Qualifier="live")["AuthType"]


def listened(target, then=lambda name: None):
    """Return the list that the names of all calls to Lambda go to, from now on."""
    called = []

    def note(model, **_):
        called.append(model.name)
        then(model.name)

    target._aws.client("lambda").meta.events.register("before-call.lambda", note)
    return called


@pytest.mark.parametrize("kind", [Lambda, SageMaker])
def test_a_folder_of_the_users_own_is_left_alone(kind, orders, credentials, tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "thesis.tex").touch()
    deployment = kind(folder=str(folder), **({"cache": "x"} if kind is Lambda else {}))
    acts = (lambda: deployment.plan(orders[0]), lambda: deployment.apply(orders[0]))
    for act in (*acts, deployment.rollback, deployment.destroy):
        with pytest.raises(DeploymentError, match=r"holds something else.*deployment\.folder"):
            act()
    assert [each.name for each in folder.iterdir()] == ["thesis.tex"]


def test_a_version_that_asks_for_no_key_gets_no_share_of_an_open_url(target, orders, monkeypatch):
    target().apply(orders[0])  # url=iam
    canary = target(url="keys", canary_percent=10)
    for act in (canary.plan, canary.apply):
        with pytest.raises(DeploymentError, match=r"Version 1 .* asks for no API key.*=apply"):
            act(orders[1])
    assert answering(target()) == ("1", "AWS_IAM")
    target(url="keys").apply(orders[1])
    with pytest.raises(DeploymentError, match=r"Version 1 .* asks for no API key"):
        target(url="keys").rollback()
    assert answering(target()) == ("2", "NONE")
    assert target().ledger.current.model.number == 2
    # As the message says: it is published anew, and there is a way back.
    target(url="keys").apply(orders[0])
    target(url="keys").rollback()
    assert answering(target()) == ("2", "NONE")
    monkeypatch.setenv("DIGITS_API_KEYS", "another")
    target(url="keys").apply(orders[0])
    with pytest.raises(DeploymentError, match=r"Version 2 .* asks for other API keys"):
        target(url="keys").rollback()


@pytest.mark.parametrize("url", ["iam", "none"])
def test_a_url_is_closed_before_a_version_without_keys_answers(target, orders, url):
    target(url="keys").apply(orders[0])
    deployment = target(url=url)
    called = listened(deployment)
    deployment.apply(orders[1])
    (closed,) = (called.index(each) for each in CLOSED if each in called)
    assert closed < called.index("UpdateAlias")
    # Nobody but who may invoke it can ask: there is a way back.
    target(url=url).rollback()


def test_a_destroy_that_fails_half_way_keeps_its_account_in_mind(target, orders, monkeypatch):
    target().apply(orders[0])

    def refused(*_):
        raise DeploymentError("a bad day")

    with monkeypatch.context() as patched:
        patched.setattr(function_removal, "remove_role", refused)
        with pytest.raises(DeploymentError, match="a bad day"):
            target().destroy()
        with pytest.raises(DeploymentError, match=r"This deployment is in 123456789012/eu-central"):
            target(region="eu-west-1").destroy()
    assert [each.what.split()[0] for each in target().destroy()] == ["iam-role"]
    assert not target().folder.exists()


def test_a_folder_keeps_one_function(target, orders):
    target().apply(orders[0])
    renamed = target(name="renamed")
    for act in (lambda: renamed.plan(orders[1]), lambda: renamed.apply(orders[1])):
        with pytest.raises(DeploymentError, match=r"deployment\.name: .* has the deployment digit"):
            act()
    assert renamed.status().version == "digits/1"
    assert renamed.destroy()
    assert not target()._aws.client("lambda").list_functions()["Functions"]


@pytest.mark.parametrize("failing", ["UpdateFunctionCode", "UpdateFunctionConfiguration"])
def test_an_update_that_failed_is_done_again(target, orders, monkeypatch, failing):
    target().apply(orders[0])
    states = _states(monkeypatch)
    deployment = target()
    reason = {"LastUpdateStatus": "Failed", "LastUpdateStatusReason": "no room"}
    listened(deployment, lambda name: name == failing and states.update(reason))
    with pytest.raises(DeploymentError, match="no room"):
        deployment.apply(orders[1])
    again = target()
    called = listened(again, lambda name: name == "UpdateFunctionCode" and states.clear())
    assert again.apply(orders[1])
    assert called.count("UpdateFunctionCode") == called.count("PublishVersion") == 1
    assert answering(target())[0] == "2"


def test_a_function_that_could_not_be_created_is_created_anew(target, orders, monkeypatch):
    states = _states(monkeypatch)
    reason = {"State": "Failed", "StateReason": "no such image"}
    deployment = target()
    listened(deployment, lambda name: name == "CreateFunction" and states.update(reason))
    with pytest.raises(DeploymentError, match="no such image"):
        deployment.apply(orders[0])
    again = target()
    called = listened(again, lambda name: name == "CreateFunction" and states.clear())
    steps = {step.what: step.change for step in again.apply(orders[0])}
    assert steps["lambda-function digits"] == "change"
    assert called.index("DeleteFunction") < called.index("CreateFunction")
    assert answering(target()) == ("1", "AWS_IAM")


def _states(monkeypatch):
    """Return what AWS says of the function's state, empty for its usual words."""
    states: dict[str, str] = {}
    found = function_parts.configuration

    def configuration(aws, name, version="$LATEST"):
        said = found(aws, name, version)
        return said and {**said, **(states if version == "$LATEST" else {})}

    monkeypatch.setattr(function_parts, "configuration", configuration)
    return states


def test_a_region_that_aws_has_not_is_one_message(credentials):
    with pytest.raises(DeploymentError, match=r"deployment\.region=eu-central-1.*frankfurt"):
        _ = Session(region="frankfurt").partition


def test_an_endpoints_log_is_removed_after_the_role_that_may_make_it_again(credentials, tmp_path):
    kinds = list(SageMaker(folder=str(tmp_path))._removers())
    assert kinds.index("log-group") > kinds.index("iam-role")
