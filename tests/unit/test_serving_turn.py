"""Requests that arrive together: one run of the model, each its own answer, nobody is forgotten."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from serving.batching import Batcher
from serving.model import Answers
from serving.settings import Batching
from serving.turn import MOST, Turn
from serving.visit import InFlight


class Sums:
    """A model whose answer is told from the image."""

    def __init__(self):
        self.runs = []

    def predict(self, images):
        self.runs.append(len(images))
        return Answers(np.repeat(images.sum((1, 2))[:, None], 10, 1).astype(np.float32), None)


class Connection:
    def __init__(self):
        self.answers, self.rest, self.is_given_up = [], None, False

    def send(self, answer):
        self.answers.append(answer)

    def go_on_in_a_task(self, rest):
        self.rest = rest

    def give_up(self):
        self.is_given_up = True


class Service:
    def __init__(self, limit=256, **batching):
        self.in_flight = InFlight()
        self.model, self.most = Sums(), 0
        self.batcher = Batcher(Batching(**batching), self.in_flight.in_all)
        self.turn = Turn(self.in_flight, limit, self.batcher.together)

    async def answer(self, value):
        self.in_flight.count += 1
        self.most = max(self.most, self.in_flight.count)
        try:
            images = np.full((1, 28, 28), value, np.uint8)
            return int((await self.batcher.predict(self.model, images)).probabilities[0, 0])
        finally:
            self.in_flight.count -= 1

    def add(self, value):
        connection = Connection()
        self.turn.add(connection, self.answer(value))
        return connection


@pytest.mark.parametrize(
    ("count", "batching", "runs"),
    [
        (1, {}, [1]),
        (8, {}, [8]),
        (MOST + 8, {}, [MOST, 8]),
        (8, {"max_batch": 1}, [1] * 8),
        (8, {"max_batch": 3}, [3, 3, 2]),
    ],
)
def test_those_of_a_turn_are_answered_in_one_run(count, batching, runs):
    async def main():
        service = Service(**batching)
        connections = [service.add(value) for value in range(count)]
        assert not service.model.runs
        await asyncio.sleep(0)
        assert service.model.runs == runs
        assert [each.answers for each in connections] == [[784 * n] for n in range(count)]
        assert (service.in_flight.count, service.in_flight.arrived) == (0, 0)

    asyncio.run(main())


def test_a_turn_is_no_reason_to_be_too_many():
    async def main():
        service = Service(limit=3)
        connections = [service.add(value) for value in range(8)]
        await asyncio.sleep(0)
        assert all(each.answers for each in connections)
        assert service.most == 3

    asyncio.run(main())


def test_what_waits_for_others_goes_on_later():
    async def main():
        service = Service(max_batch=8, max_wait_ms=5)
        connections = [service.add(value) for value in range(3)]
        service.turn.take()
        assert not service.model.runs
        assert await asyncio.gather(*(asyncio.ensure_future(c.rest) for c in connections)) == [
            0,
            784,
            1568,
        ]
        assert service.model.runs == [3]

    asyncio.run(main())


def test_what_goes_on_later_can_be_cancelled():
    async def main():
        service = Service(max_batch=8, max_wait_ms=1000)
        connections = [service.add(1), service.add(2)]
        service.turn.take()
        tasks = [asyncio.ensure_future(each.rest) for each in connections]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        assert [type(each) for each in await asyncio.gather(*tasks, return_exceptions=True)] == [
            asyncio.CancelledError
        ] * 2
        assert service.in_flight.count == 0

    asyncio.run(main())


def test_a_fault_is_of_one_request_only(caplog):
    async def broken():
        raise RuntimeError("broken")

    async def main():
        service = Service()
        first, last = service.add(1), Connection()
        service.turn.add(last, broken())
        other = service.add(2)
        await asyncio.sleep(0)
        assert (first.answers, other.answers) == ([784], [1568])
        assert last.is_given_up and not last.answers

    asyncio.run(main())
    assert "broken" in caplog.text
