"""Corrections of predictions: committed when they are answered, refused with a reason."""

from __future__ import annotations

import asyncio
import time

import pytest

from digits.contract.prediction import new_id
from serving.errors import RequestError
from serving.feedback import feedback
from tests.integration.traffic import prediction


def correct(*arguments, **named):
    return asyncio.run(feedback(*arguments, **named))


def test_correction_is_committed_when_it_is_answered(start_recorder, traffic_store):
    taken = start_recorder(flush_seconds=0.2)
    row = prediction()
    taken.put(row)
    correct(taken, row.id, 7)  # still in the queue
    assert traffic_store.find(row.id).suggestion == 7
    correct(taken, row.id, 1, origin="page")
    assert traffic_store.find(row.id).suggestion == 1
    (kept,) = traffic_store.corrections()
    assert [(each.label, each.origin) for each in kept] == [(7, "api"), (1, "page")]


def test_prediction_of_another_worker_is_waited_for(start_recorder, traffic_store):
    mine, other = start_recorder(), start_recorder(flush_seconds=0.3)
    row = prediction()
    other.put(row)
    correct(mine, row.id, 2)
    assert traffic_store.find(row.id).suggestion == 2


@pytest.mark.parametrize(
    "identifier", ["", "x", "0" * 32, "01a2184a226579d298ca87924c34d0f0", "a'; DROP TABLE x"]
)
def test_id_of_nothing_is_refused_at_once(start_recorder, identifier):
    taken = start_recorder(flush_seconds=1.0)
    begin = time.monotonic()
    with pytest.raises(RequestError, match="no prediction has the id") as caught:
        correct(taken, identifier, 2)
    assert time.monotonic() - begin < 2
    assert (caught.value.status, caught.value.code) == (404, "unknown_prediction")


def test_fresh_id_of_nothing_is_refused_after_a_while(start_recorder, monkeypatch):
    monkeypatch.setattr("serving.feedback.CLOCK_SECONDS", 0.3)
    with pytest.raises(RequestError, match="no prediction has the id"):
        correct(start_recorder(), new_id(), 2)


@pytest.mark.parametrize("label", [10, -1, True, "3", 2.0])
def test_label_that_is_no_digit_is_refused(start_recorder, label):
    with pytest.raises(RequestError, match="is no digit from 0 to 9") as caught:
        correct(start_recorder(), new_id(), label)
    assert caught.value.status == 400


def test_store_that_does_not_answer_is_told_without_its_place(start_recorder, caplog):
    taken = start_recorder("postgresql://nobody@127.0.0.1:9/none")
    row = prediction(id=new_id())
    with pytest.raises(RequestError, match="cannot be written now; try again") as caught:
        correct(taken, row.id, 2)
    assert caught.value.status == 503
    assert caught.value.headers == {"Retry-After": "1"}
    assert "127.0.0.1" in caplog.text


def test_waiting_correction_leaves_the_event_loop_free(start_recorder, traffic_store):
    taken = start_recorder(flush_seconds=0.3)
    row = prediction()

    async def both():
        task = asyncio.create_task(feedback(taken, row.id, 2))
        taken.put(row)
        ticks = 0
        while not task.done():
            await asyncio.sleep(0.001)
            ticks += 1
        return ticks

    taken.store()
    assert asyncio.run(both()) > 20  # one or two, were the loop held up until the flush
