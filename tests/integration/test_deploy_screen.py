"""What `task=deploy action=plan` shows, of a target that makes nothing."""

from __future__ import annotations

import pytest

from digits.contract.pointer import Pointed, Pointer
from digits.deployment.local import Local
from digits.deployment.resolve import Watch
from digits.deployment.target import Order, Step
from digits.tasks import deploy
from serving.settings import Settings


@pytest.mark.parametrize(
    ("kind", "shown"),
    [("local", True), ("docker", True), ("torchserve", True), ("lambda", False), ("kserve", False)],
)
def test_address_and_processes_are_of_targets_on_this_machine(
    make, tmp_path, monkeypatch, capsys, kind, shown
):
    make(tmp_path / "bundle")
    model = Pointed(name="digits", number=3, folder=tmp_path / "bundle", onnx_sha256="a" * 64)
    pointer = tmp_path / "pointer.json"
    watch = Watch(pointer=pointer, tracking_uri="sqlite:///x", version="3", cache=tmp_path)
    order = Order(Settings(pointer=pointer, workers=2), watch, Pointer(champion=model))
    monkeypatch.setattr(deploy, "_order", lambda target, wanted: order)
    monkeypatch.setattr(Local, "kind", kind)
    monkeypatch.setattr(Local, "plan", lambda self, order: [Step("create", "thing")])
    deploy._plan(Local(folder=str(tmp_path / "deployment")), None, lambda action: "command")
    names = {line.split()[0] for line in capsys.readouterr().out.splitlines() if line.strip()}
    assert {"would", "model", "folder"} <= names
    assert [name in names for name in ("address", "workers")] == [shown, shown]
