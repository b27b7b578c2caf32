"""The engine's answers that a real engine gives too rarely to wait for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from digits.deployment import engine as engine_module
from digits.deployment.containers import Container
from digits.deployment.engine import Engine
from digits.deployment.ledger import Ledger
from digits.deployment.slot import Slot
from digits.errors import DeploymentError
from serving.settings import Settings


class Faulty(Engine):
    """Knows containers by their names, and gives up one command."""

    def __init__(self, gives_up):
        super().__init__("docker")
        self.gives_up, self.runs = gives_up, {"digits": True}

    def run(self, *arguments, **_):
        command, *rest = arguments
        if command == "rename":
            if self.gives_up != "rename":
                self.runs[rest[1]] = self.runs.pop(rest[0])
        elif command == "stop":
            self.runs[rest[-1]] = False
        elif command == "start":
            self.runs[rest[0]] = True
        if command == self.gives_up:
            raise DeploymentError(f"docker {command} is given up after 30 s")
        return ""

    def inspect(self, kind, name):
        labels = {"digits.deployment": "ours"}
        state = {"Running": self.runs.get(name)}
        found = {"Name": f"/{name}", "Config": {"Labels": labels}, "State": state}
        return found if name in self.runs else None


@pytest.mark.parametrize("command", ["rename", "stop"])
def test_a_container_that_does_not_give_way_answers_again(command, tmp_path):
    engine, ledger, settings = Faulty(command), Ledger(tmp_path), Settings(pointer=Path("p"))
    ledger.making("container", "digits")
    another = Container("digits", "bridge", 512, None, "i", "ours", settings, {}, (), "")
    with pytest.raises(DeploymentError, match=f"docker {command} is given up"):
        Slot(engine, "digits", "ours").put(another, settings, ledger, 1.0)
    assert engine.runs == {"digits": True}
    assert [each.name for each in ledger.resources] == ["digits"]


def program(folder, text):
    file = folder / "docker"
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return str(file)


@pytest.mark.parametrize(("listed", "removed"), [("", True), ("0123abcd", False)])
def test_an_image_that_a_container_is_made_of_is_left(listed, removed, tmp_path):
    known = '[{"Id": "sha256:1"}]'
    lines = [
        f"echo $1 >> {tmp_path}/asked",
        f"case $1 in image) echo '{known}';; ps) echo '{listed}';; esac",
    ]
    engine = Engine(program(tmp_path, "\n".join(lines)))
    assert engine.remove_image("digits-service:1") is removed
    assert ("rmi" in (tmp_path / "asked").read_text().split()) is removed


def test_log_that_does_not_come_hides_no_other_fault(tmp_path, monkeypatch):
    monkeypatch.setattr(engine_module, "ANSWER_SECONDS", 0.2)
    engine = Engine(program(tmp_path, "exec sleep 20"))
    assert engine.logs("digits") == "(docker logs is given up after 0.2 s)"
