"""A deployment on this machine that goes wrong after everything was found to be sound."""

from __future__ import annotations

import dataclasses
import os

import pytest
from filelock import FileLock

from digits.contract.manifest import ONNX
from digits.contract.pointer import Pointed, Pointer
from digits.deployment.keys import note_keys
from digits.deployment.local import STEPS, Local
from digits.deployment.resolve import Watch
from digits.deployment.service import LOCK, STATE, State, prepare
from digits.deployment.supervisor import POINTER, SETTINGS
from digits.deployment.target import Order
from digits.deployment.torchserve.target import TorchServe
from digits.errors import DeploymentError
from serving.settings import KEYS, Settings


@pytest.fixture
def order(make, tmp_path):
    manifest = make(tmp_path / "bundle")
    folder = tmp_path / "deployments" / "local"
    champion = Pointed(
        name="digits", number=1, folder=tmp_path / "bundle", onnx_sha256=manifest.files[ONNX]
    )
    watch = Watch(
        pointer=folder / POINTER,
        tracking_uri=f"sqlite:///{tmp_path}/mlflow.db",
        version="1",
        cache=tmp_path,
    )
    return Order(Settings(pointer=folder / POINTER, port=0), watch, Pointer(champion=champion))


def test_service_that_ends_at_once_is_told_and_leaves_nothing(order, tmp_path):
    with (tmp_path / "bundle" / ONNX).open("ab") as file:
        file.write(b"!")
    target = Local(folder=str(tmp_path / "deployments" / "local"))
    with pytest.raises(DeploymentError, match=r"does not start:\n(?s:.*)was changed(?s:.*)kept up"):
        target.apply(order)
    assert not target.folder.exists()
    with pytest.raises(DeploymentError, match="action=apply starts it"):
        target.state()


def test_service_of_another_machine_is_left_alone(order, tmp_path):
    target = Local(folder=str(tmp_path / "deployments" / "local"))
    prepare(target.folder, order.settings, order.watch, order.pointer)
    there = State(host="elsewhere", pid=os.getpid(), address="http://h:1", deployment="d")
    (target.folder / STATE).write_text(there.model_dump_json())
    anew = dataclasses.replace(order, settings=order.settings.model_copy(update={"threads": 2}))
    with FileLock(target.folder / LOCK):  # as that service holds it
        for change in (target.state, target.destroy, lambda: target.apply(anew)):
            with pytest.raises(DeploymentError, match="is served by elsewhere"):
                change()
    assert target.folder.exists()


def test_settings_of_another_program_are_replaced(order, tmp_path):
    target = Local(folder=str(tmp_path / "deployments" / "local"))
    prepare(target.folder, order.settings, order.watch, order.pointer)
    (target.folder / SETTINGS).write_text('{"pointer": "p", "unheard_of": 1}')
    with FileLock(target.folder / LOCK):
        assert target.plan(order) == [STEPS["restart"]]


def test_folder_with_other_things_is_neither_used_nor_removed(order, tmp_path):
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "thesis.tex").write_text("years of work")
    target = Local(folder=str(folder))
    for attempt in (target.destroy, lambda: target.apply(order)):
        with pytest.raises(DeploymentError, match="something else"):
            attempt()
    assert (folder / "thesis.tex").exists()


def test_two_commands_do_not_change_it_at_once(order, tmp_path):
    target = Local(folder=str(tmp_path / "deployments" / "local"))
    target.folder.parent.mkdir()
    with (
        FileLock(target.folder.parent / ".local.lock"),
        pytest.raises(DeploymentError, match="Another command is changing"),
    ):
        target.apply(order)


def test_other_keys_are_other_orders(order, tmp_path, monkeypatch):
    target = Local(folder=str(tmp_path / "deployments" / "local"))
    prepare(target.folder, order.settings, order.watch, order.pointer)
    monkeypatch.setenv(KEYS, "old")
    note_keys(target.folder)
    with FileLock(target.folder / LOCK):
        assert target.plan(order) == [STEPS["none"]]
        monkeypatch.setenv(KEYS, "new")
        assert target.plan(order) == [STEPS["restart"]]
        monkeypatch.delenv(KEYS)
        with pytest.raises(DeploymentError, match=KEYS):
            target.plan(order)


@pytest.mark.parametrize("kind", [Local, TorchServe])
def test_a_plan_changes_nothing(order, tmp_path, kind):
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "thesis.tex").write_text("years of work")
    assert kind(folder=str(folder)).plan(order)[-1].change == "create"
    assert [each.name for each in folder.iterdir()] == ["thesis.tex"]
