"""What a turn of the loop makes of those before it, and of one that was killed."""

from __future__ import annotations

import numpy as np
import pytest

from digits.contract.labelling import LabelStore
from digits.contract.traffic import TrafficStore
from digits.tasks.turn import steps
from digits.tasks.turn.labellers import wait_for_people
from digits.tasks.turn.plan import Plan
from digits.tasks.turn.state import State
from digits.tasks.turn.turn import Turn
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
