"""What a turn of the loop makes of those before it, and of one that was killed."""

from __future__ import annotations

import numpy as np
import pytest

from digits.contract.labelling import LabelStore
from digits.contract.traffic import TrafficStore
from digits.data.uci import Uci
from digits.errors import ConfigError
from digits.registry.versions import register
from digits.tasks.loop import loop
from digits.tasks.turn import steps
from digits.tasks.turn.labellers import wait_for_people
from digits.tasks.turn.plan import Plan
from digits.tasks.turn.state import State
from digits.tasks.turn.turn import Turn
from digits.tracking.store import Tracking
from tests.integration.labelling import queued
from tests.unit.test_loop import prediction


@pytest.fixture
def turn(tmp_path):
    """One that has sent some digits, and has no command to run."""
    url = f"sqlite:///{tmp_path}/traffic.db"
    return Turn(
        plan=Plan("fog", labels=1),
        state=State(tmp_path, "d" * 64, began=2.0),
        commands=None,
        digits=None,
        source="uci",
        traffic_url=url,
        store=TrafficStore(url),
        labels=LabelStore(url),
        tracking=None,
        name="loop",
        service=None,
        seed=0,
    )


def sent(turn, key):
    """Note a visit."""
    row = prediction(key, 3)._replace(
        pixels=bytes(784), probabilities=np.zeros(10, "<f4").tobytes()
    )
    turn.store.write([row])
    return row.id


def test_digits_that_an_earlier_turn_labelled_are_no_test(turn):
    sample = sent(turn, "loop-1.under1.7")
    sent(turn, f"{turn.visitors_name}.before.8")
    turn.labels.enqueue([queued(sample=sample)])
    turn.labels.label(sample, "rater_a", 3)
    assert turn.labelled() == {7}


def test_what_was_queued_before_a_kill_is_not_queued_again(turn):
    sample = sent(turn, f"{turn.visitors_name}.under1.7")
    turn.labels.enqueue([queued(sample=sample), queued()])
    assert steps.select(turn) == {"queued": 1}


def test_people_may_skip_what_they_cannot_tell(turn):
    samples = [queued(), queued()]
    turn.labels.enqueue(samples)
    turn.labels.label(samples[0].sample, "rater_a", 3)
    turn.labels.skip(samples[1].sample, "rater_a")
    wait_for_people(turn.labels, "http://127.0.0.1:1")  # comes back


def test_champion_of_other_data_is_refused_before_anything_is_made(stored, store, record, tmp_path):
    client, run_id, manifest = stored
    register(client, name="loop", run_id=run_id, manifest=manifest)
    client.set_registered_model_alias("loop", "champion", "1")
    place = tmp_path / "loop"
    with pytest.raises(ConfigError, match=r"loop/1 learned from bars, .* write uci"):
        loop(
            record,
            plan=Plan("fog", labels=1),
            source=Uci(),
            tracking=Tracking(uri=store),
            traffic_url=f"sqlite:///{place}/traffic.db",
            folder=str(place),
            registered_name="loop",
        )
    assert not place.exists()


def test_steps_of_a_turn_are_not_those_of_another(tmp_path):
    first = State.of(tmp_path, "d" * 64, fresh=False)
    first.write()
    resumed = State.of(tmp_path, "d" * 64, fresh=False)
    later = State(tmp_path, "d" * 64, began=first.began + 1)
    assert first.steps_folder == resumed.steps_folder != later.steps_folder
