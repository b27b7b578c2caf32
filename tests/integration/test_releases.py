"""What the registry says of versions that are deployed, and no longer of those that are not."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from digits.contract.pointer import Pointed
from digits.deployment.ledger import Ledger, Release
from digits.deployment.releases import tag_release, untag_release
from digits.deployment.target import Step
from digits.tasks.deploy import ACTIONS
from digits.tracking.store import Tracking

VERSIONS = {("digits", "1"), ("digits", "2"), ("digits", "3"), ("letters", "1"), ("letters", "2")}


@pytest.fixture
def client(store):
    found = Tracking(uri=store).client()
    for name in ("digits", "letters"):
        found.create_registered_model(name)
    for name, _ in sorted(VERSIONS):
        found.create_model_version(name, source="runs:/none/bundle")
    return found


def release(number, name="digits"):
    return Release(
        model=Pointed(name=name, number=number, folder=Path("/none"), onnx_sha256="d" * 64)
    )


def tagged(client, kind="local"):
    return {
        version
        for version in VERSIONS
        if f"deployment.{kind}" in client.get_model_version(*version).tags
    }


def test_the_version_that_is_out_alone_is_said_to_be(client):
    for number in ("1", "2"):  # left by commands that were cut short
        client.set_model_version_tag("digits", number, "deployment.local", "http://h")
    client.set_model_version_tag("digits", "1", "deployment.docker", "http://h")
    tag_release(client, "local", "http://h", out=release(3), before=None)
    assert tagged(client) == {("digits", "3")}
    assert tagged(client, "docker") == {("digits", "1")}
    tag_release(client, "local", "http://h", out=release(None), before=release(3))
    assert tagged(client) == set()


def test_the_same_number_of_another_model_is_another_version(client):
    tag_release(client, "local", "http://h", out=release(1), before=None)
    tag_release(client, "local", "http://h", out=release(1, "letters"), before=release(1))
    assert tagged(client) == {("letters", "1")}


def test_a_model_that_was_deleted_is_passed_over(client):
    untag_release(client, "local", release(1, "nobody"))


def test_what_is_deployed_can_be_ended_without_a_registry(tmp_path, capsys):
    ledger = Ledger(tmp_path / "deployment")
    ledger.released(release(1))

    def destroy():
        ledger.forget()
        return [Step("remove", "service")]

    target = SimpleNamespace(kind="local", ledger=ledger, destroy=destroy)
    wanted = SimpleNamespace(tracking=Tracking(uri="http://127.0.0.1:1"))
    ACTIONS["destroy"](target, wanted, lambda action: f"task=deploy action={action}")
    said = capsys.readouterr().out
    assert "remove service" in said
    assert "digits/1 keeps its tag: tracking.uri: no MLflow server answers" in said
    assert not ledger
