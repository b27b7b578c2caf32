"""Pipelines whose tasks are a stand-in for run.py: it leaves the files that a task leaves."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipelines.order import Event, Order

pytest.importorskip("kfp", reason="the extra pipelines is not installed")

STAND_IN = Path(__file__).with_name("stand_in.py")


@dataclass
class World:
    """What the stand-in is told, and what it has been asked."""

    folder: Path

    def say(self, **codes: int) -> None:
        """Let tasks end with these exit codes from now on; ``-9`` has one killed."""
        (self.folder / "codes.json").write_text(json.dumps(codes))

    @property
    def asked(self) -> list[list[str]]:
        """The command line of each task so far."""
        file = self.folder / "asked.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    @property
    def tasks(self) -> list[str]:
        """Their names; of the promotion its action too."""
        names = []
        for line in self.asked:
            task = line[0].removeprefix("task=")
            names.append("judge" if "action=judge" in line else task)
        return names

    def forget(self) -> None:
        (self.folder / "asked.jsonl").unlink(missing_ok=True)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    folder = tmp_path / "world"
    folder.mkdir()
    monkeypatch.setenv("DIGITS_PROGRAM", str(STAND_IN))
    monkeypatch.setenv("STAND_IN", str(folder))
    world = World(folder)
    world.say()
    return world


@pytest.fixture
def order(tmp_path: Path) -> Order:
    return Order(
        name="digits",
        root=str(tmp_path / "outputs"),
        shared=["seed=0"],
        data=["data=uci"],
        code="c0de",
        target="local",
    )


@pytest.fixture
def events() -> list[Event]:
    return []
