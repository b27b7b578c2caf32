"""Requests answered together: never mixed up, never lost, never later than promised."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.batching import Batcher
from serving.model import Answers
from serving.settings import Batching


class Echo:
    """A model whose answer tells which image it was asked, and that remembers its batches."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def predict(self, images):
        self.batches.append(len(images))
        first = images[:, 0, :2].astype(np.float32)
        number = first[:, 0] * 256 + first[:, 1]
        return Answers(np.repeat(number[:, None], 10, axis=1), number % 2 == 0)


def numbered(number, count=1):
    images = np.zeros((count, 28, 28), np.uint8)
    for row in range(count):
        images[row, 0, :2] = divmod(number + row, 256)
    return images


def many():
    """As where other requests are at work."""
    return 9


async def ask(batcher, model, number, count, delay):
    await asyncio.sleep(delay)
    answers = await batcher.predict(model, numbered(number, count))
    expected = np.arange(number, number + count)
    assert (answers.probabilities[:, 0] == expected).all()
    assert (answers.is_digit == (expected % 2 == 0)).all()


def test_thousands_of_requests_at_once_get_their_own_answers():
    async def all_of_them():
        batcher, models = Batcher(Batching(max_batch=32, max_wait_ms=2), many), [Echo(), Echo()]
        random = np.random.default_rng(3)
        counts, start, work = random.integers(1, 8, 4000), 0, []
        for index, count in enumerate(counts):
            delay = float(random.choice([0, 0, 0.001, 0.01]))
            work.append(ask(batcher, models[index % 2], start, int(count), delay))
            start += count
        await asyncio.gather(*work)
        return counts.sum(), models

    total, models = asyncio.run(all_of_them())
    batches = models[0].batches + models[1].batches
    assert sum(batches) == total
    assert max(batches) <= 32
    assert len(batches) < 4000  # some were together


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.integers(1, 9), st.sampled_from([0, 0.0005, 0.002])), max_size=60),
    st.integers(1, 16),
    st.sampled_from([0.0, 1.0]),
)
def test_any_pattern_of_requests_gets_its_own_answers(requests, most, wait):
    async def all_of_them():
        batcher, model, start, work = (
            Batcher(Batching(max_batch=most, max_wait_ms=wait), many),
            Echo(),
            0,
            [],
        )
        for count, delay in requests:
            work.append(ask(batcher, model, start, count, delay))
            start += count
        await asyncio.gather(*work)

    asyncio.run(all_of_them())


def test_off_every_request_is_a_batch_of_its_own():
    async def several():
        batcher, model = Batcher(Batching(max_batch=1), many), Echo()
        await asyncio.gather(*(ask(batcher, model, number, 1, 0) for number in range(20)))
        return model.batches

    assert asyncio.run(several()) == [1] * 20


def test_a_model_that_fails_fails_those_who_wait_and_nobody_after():
    class Broken(Echo):
        def predict(self, images):
            if not self.batches:
                self.batches.append(0)
                raise RuntimeError("once")
            return super().predict(images)

    async def several():
        batcher, model = Batcher(Batching(max_batch=8, max_wait_ms=1), many), Broken()
        failed = await asyncio.gather(
            *(batcher.predict(model, numbered(n)) for n in range(3)), return_exceptions=True
        )
        await ask(batcher, model, 7, 1, 0)
        return failed

    assert [str(each) for each in asyncio.run(several())] == ["once"] * 3


def test_a_client_that_goes_away_does_not_disturb_its_batch():
    async def several():
        batcher, model = Batcher(Batching(max_batch=8, max_wait_ms=20), many), Echo()
        leaving = asyncio.create_task(ask(batcher, model, 1, 1, 0))
        staying = asyncio.create_task(ask(batcher, model, 2, 1, 0))
        await asyncio.sleep(0)
        leaving.cancel()
        await staying
        with pytest.raises(asyncio.CancelledError):
            await leaving

    asyncio.run(several())


def test_a_request_that_is_alone_does_not_wait():
    async def one():
        batcher, model = Batcher(Batching(max_batch=8, max_wait_ms=1000), lambda: 1), Echo()
        async with asyncio.timeout(0.9):
            await ask(batcher, model, 1, 1, 0)

    asyncio.run(one())
