"""The loop's memory, its visitors' marks, and what it makes of what came of its steps."""

from __future__ import annotations

import dataclasses
import json
import typing

import numpy as np
import pytest

from digits.contract.prediction import Prediction, new_id
from digits.contract.traffic import TrafficStore
from digits.errors import LoopError, MissingExtraError
from digits.evaluation.corruptions import CORRUPTIONS
from digits.tasks.loop import STEPS, loop
from digits.tasks.screens.loop import TOLD
from digits.tasks.turn.figure import facts_of, timeline
from digits.tasks.turn.plan import Plan, Shift
from digits.tasks.turn.state import State, Step, claimed, digest_of
from digits.tasks.turn.steps import wanted
from digits.tasks.turn.visitors import Visit, accuracy, is_worse, visits
from digits.tasks.typed import data_of, typed
from digits.tracking.record import Record

NAME = "loop-1"


def record(tmp_path, **parameters):
    return Record(tmp_path, "loop", "c0ffee", parameters, ["task=loop"], 3)


def done(name, **facts):
    return Step(name, 1.0, 2.0, facts)


def test_every_corruption_may_set_in_and_every_step_is_told():
    assert set(typing.get_args(Shift)) == set(CORRUPTIONS)
    assert set(TOLD) == set(STEPS)


@pytest.mark.parametrize(("module", "extra"), [("feast", "features"), ("evidently", "monitor")])
def test_extra_of_a_later_step_is_missed_before_the_first(module, extra, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "digits.tasks.loop.find_spec", lambda name: None if name == module else object()
    )
    given = {"source": None, "tracking": None, "traffic_url": "sqlite:///t.db"}
    with pytest.raises(MissingExtraError, match=rf"scripts/bootstrap {extra}"):
        loop(record(tmp_path), plan=Plan(shift="stripe"), folder=str(tmp_path / "loop"), **given)
    assert not (tmp_path / "loop").exists()


def test_stopped_turn_goes_on_where_it_was(tmp_path):
    state = State.of(tmp_path, "d" * 64, fresh=False)
    state.run_id = "f" * 32
    state.add(done("champion", version="loop/1"))
    again = State.of(tmp_path, "d" * 64, fresh=False)
    assert again == state
    assert again.has("champion") and not again.has("serve")
    assert again.facts("champion") == {"version": "loop/1"}


def test_turn_that_is_finished_or_given_up_is_followed_by_a_new_one(tmp_path):
    state = State.of(tmp_path, "d" * 64, fresh=False)
    state.add(done("champion", version="loop/1"))
    assert not State.of(tmp_path, "d" * 64, fresh=True).steps
    state.finished = True
    state.write()
    assert not State.of(tmp_path, "e" * 64, fresh=False).steps


def test_turn_of_another_configuration_is_refused_with_the_way_out(tmp_path):
    State.of(tmp_path, "d" * 64, fresh=False).add(done("before"))
    with pytest.raises(LoopError, match=r"stopped after before .* fresh=true"):
        State.of(tmp_path, "e" * 64, fresh=False)


@pytest.mark.parametrize("content", ["", "[]", '{"form": 99}', '{"form": 1, "steps": 3}'])
def test_damaged_state_is_named(content, tmp_path):
    (tmp_path / "loop.json").write_text(content)
    with pytest.raises(LoopError, match=r"loop.json cannot be read"):
        State.of(tmp_path, "d" * 64, fresh=False)


def test_what_does_not_change_the_turn_may_be_typed_otherwise(tmp_path):
    same = {"fresh": False, "task.fresh": False, "task.keep_service": False}
    one = record(tmp_path, **same, **{"loop.window": 10})
    other = record(tmp_path, **dict.fromkeys(same, True), **{"loop.window": 10})
    assert digest_of(one) == digest_of(other)
    another = dataclasses.replace(one, parameters={**one.parameters, "loop.window": 11})
    assert digest_of(one) != digest_of(another)


def test_two_loops_in_one_folder_or_on_one_store_are_refused(tmp_path):
    url = f"sqlite:///{tmp_path}/traffic.db"
    with claimed(tmp_path / "one", url):
        with (
            pytest.raises(LoopError, match=r"^folder: another loop"),
            claimed(tmp_path / "one", "sqlite:///other.db"),
        ):
            pass
        with (
            pytest.raises(LoopError, match=r"^traffic.url: another loop"),
            claimed(tmp_path / "two", f"sqlite:///{tmp_path}/x/../traffic.db"),
        ):
            pass
    with claimed(tmp_path / "one", url):
        pass


def test_data_is_passed_on_as_it_was_typed(tmp_path):
    typed = record(
        tmp_path,
        **{
            "data._target_": "digits.data.mnist.Mnist",
            "data.root": "/a folder/it's",
            "data.store._target_": "x",
            "data.train_size": None,
            "data.validation_size": 5000,
            "loop.window": 3,
        },
    )
    assert data_of(typed, "mnist") == [
        "data=mnist",
        "data.root='/a folder/it\\'s'",
        "data.validation_size=5000",
    ]


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, "null"), (True, "true"), (0.5, "0.5"), ("/a/b-1", "/a/b-1"), ("12", "'12'"),
        ("True", "'True'"), ("a b", "'a b'"), ("${x}", "'${x}'"), ("", "''"),
        ("sqlite:////a.db", "sqlite:////a.db"),
    ],
)  # fmt: skip
def test_values_are_written_in_the_grammar_of_overrides(value, written):
    assert typed(value) == written


def prediction(key, digit):
    return Prediction(
        id=new_id(),
        time=1.0,
        key=key,
        pixels=None,
        probabilities=bytes(40),
        digit=digit,
        confidence=0.5,
        is_digit=True,
        version="loop/1",
        deployment="d",
        source="/v1/predict",
    )


def test_visits_are_found_by_their_marks_alone(tmp_path):
    store = TrafficStore(f"sqlite:///{tmp_path}/traffic.db")
    keys = [f"{NAME}.before.1", None, "somebody", "loop-2.before.0", f"{NAME}.under1.0"]
    store.write([prediction(key, 7) for key in keys])
    found = list(visits(store, NAME))
    assert [(each.phase, each.index) for each in found] == [("before", 1), ("under1", 0)]
    assert accuracy(found, np.array([7, 3])) == 0.5
    assert list(visits(store, NAME, after=10)) == []


def test_visits_of_every_turn_are_known(tmp_path):
    store = TrafficStore(f"sqlite:///{tmp_path}/traffic.db")
    keys = [f"{NAME}.before.1", "loop-2.before.0", "a.b.c", "a.b.3", "loop-1.before.9999999999"]
    store.write([prediction(key, 7) for key in keys])
    assert [each.index for each in visits(store, None)] == [1, 0]


@pytest.mark.parametrize(
    ("passed", "better", "expected"),
    [(True, True, True), (True, False, False), (False, None, False)],
)
def test_only_what_the_gate_and_the_canary_let_pass_is_promoted(passed, better, expected, tmp_path):
    state = State.of(tmp_path, "d" * 64, fresh=False)
    state.add(done("judge", passed=passed))
    assert wanted(state, "canary") == passed
    if better is not None:
        state.add(done("canary", good=better))
    assert wanted(state, "promote") == expected
    assert wanted(state, "after")


def test_worse_is_only_what_chance_does_not_explain():
    labels = np.array([3])

    def of(right, count):
        return [Visit("", 0.0, "", 0, 3 if each < right else 4, "") for each in range(count)]

    assert not is_worse(of(97, 100), of(100, 100), labels)
    assert is_worse(of(80, 100), of(97, 100), labels)
    assert not is_worse(of(97, 100), of(80, 100), labels)
    assert not is_worse(of(0, 1), of(5, 5), labels)


def test_picture_and_numbers_of_a_turn(tmp_path):
    state = State.of(tmp_path, "d" * 64, fresh=False)
    state.add(Step("before", 0, 10, {"accuracy": 0.9, "requests": 10, "failed": 1}))
    state.add(Step("detect", 10, 20, {"accuracy": 0.4, "requests": 10, "failed": 0}))
    state.add(Step("label", 20, 21, {"labels": 5}))
    state.add(Step("after", 21, 30, {"accuracy": 0.8, "requests": 10, "failed": 0}))
    found = [
        Visit(str(number), float(number), "before", 0, number % 3, f"loop/{1 + number // 20}")
        for number in range(30)
    ]
    file = timeline(state, found, np.array([0]), tmp_path / "timeline.png")
    assert file.read_bytes().startswith(b"\x89PNG")
    assert facts_of(state) == {
        "loop/accuracy_before": 0.9,
        "loop/accuracy_under_shift": 0.4,
        "loop/accuracy_recovered": 0.8,
        "loop/requests": 30,
        "loop/requests_failed": 1,
        "loop/labels": 5,
    }
    assert json.loads((tmp_path / "loop.json").read_text())["form"] == 1
