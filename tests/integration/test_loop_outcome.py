"""How a turn of the loop ends: better, no better, or taken back; also when it was killed there."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from digits.contract.labelling import LabelStore
from digits.contract.traffic import TrafficStore
from digits.promotion import champion
from digits.registry.versions import Version, register
from digits.tasks.turn import steps
from digits.tasks.turn.plan import Plan
from digits.tasks.turn.state import State, Step
from digits.tasks.turn.turn import Turn
from digits.tracking.store import Tracking
from tests.unit.test_loop import prediction

RIGHT, WRONG, COUNT = 3, 5, 40


class Commands:
    """Runs the one command that the end of a turn needs; ``killed`` after it, as by kill -9."""

    def __init__(self, client):
        self.client = client
        self.ran = []
        self.killed = False

    def __call__(self, name, task, *overrides, needs=()):
        self.ran.append((task, *overrides))
        champion.rollback(self.client, "digits")
        if self.killed:
            raise KeyboardInterrupt


@pytest.fixture
def turn(tmp_path, store, make, record, monkeypatch):
    """One whose second version was promoted a moment ago."""
    tracking = Tracking(uri=store)
    client = tracking.client()
    for number in (1, 2):
        (tmp_path / str(number)).mkdir()
        with tracking.start(dataclasses.replace(record, folder=tmp_path / str(number))) as run:
            manifest = make(tmp_path / str(number) / "bundle", run_id=run.id)
            run.log_folder(tmp_path / str(number) / "bundle", "bundle")
        register(client, name="digits", run_id=run.id, manifest=manifest)
    champion.promote(client, Version("digits", 1), over=None)
    champion.promote(client, Version("digits", 2), over=1)
    monkeypatch.setattr(steps, "visit", lambda *_, **__: {"accuracy": 0.5})
    monkeypatch.setattr(steps, "_drift", lambda *_: {"drift": False})
    url = f"sqlite:///{tmp_path}/traffic.db"
    state = State(tmp_path / "state", "d" * 64, began=2.0)
    state.folder.mkdir()
    state.add(Step("promote", 1.0, 2.0, {"version": "digits/2"}))
    return Turn(
        plan=Plan("fog", labels=1),
        state=state,
        commands=Commands(client),
        digits=SimpleNamespace(labels=np.full(COUNT, RIGHT)),
        source="uci",
        traffic_url=url,
        store=TrafficStore(url),
        labels=LabelStore(url),
        tracking=tracking,
        name="digits",
        service=None,
        seed=0,
    )


def answered(turn, phase, digit, version):
    """Have all digits answered so."""
    keys = [f"{turn.visitors_name}.{phase}.{index}" for index in range(COUNT)]
    rows = [prediction(key, digit)._replace(version=version, pixels=bytes(784)) for key in keys]
    turn.store.write(rows)


@pytest.mark.parametrize(
    ("then", "now", "outcome"),
    [(WRONG, RIGHT, "recovered"), (WRONG, WRONG, "no better"), (RIGHT, WRONG, "rolled back")],
)
def test_how_a_turn_ends(turn, then, now, outcome):
    answered(turn, "under1", then, "digits/1")
    answered(turn, "after", now, "digits/2")
    assert steps.after(turn)["outcome"] == outcome
    back = outcome == "rolled back"
    assert turn.commands.ran == [("promote", "action=rollback")] * back
    assert champion.pair(turn.tracking.client(), "digits").champion == (1 if back else 2)


def test_killed_after_taking_it_back_it_is_not_taken_back_twice(turn):
    answered(turn, "under1", RIGHT, "digits/1")
    answered(turn, "after", WRONG, "digits/2")
    turn.commands.killed = True
    with pytest.raises(KeyboardInterrupt):
        steps.after(turn)
    assert steps.after(turn)["outcome"] == "rolled back"
    assert len(turn.commands.ran) == 1
    assert champion.pair(turn.tracking.client(), "digits").champion == 1
