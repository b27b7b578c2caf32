"""The loop stays awake for a client that asks again at once, and for nobody else."""

from __future__ import annotations

import asyncio
import time

import pytest

from serving.turn import _Vigil


@pytest.fixture
def clock(monkeypatch):
    """A time of our own: (set it)."""
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    return lambda seconds: now.__setitem__(0, seconds)


async def looks(loop_steps=5):
    """Let the loop go round; return how many of its rounds had something left to do."""
    loop, kept = asyncio.get_running_loop(), 0
    for _ in range(loop_steps):
        await asyncio.sleep(0)
        kept += len(loop._ready) > 0
    return kept


def test_the_first_request_keeps_nobody_awake(clock):
    async def main():
        vigil = _Vigil()
        clock(5.0)
        vigil.end()
        vigil.begin()
        assert await looks() == 0

    asyncio.run(main())


def test_who_asks_again_at_once_finds_the_loop_awake_for_a_moment(clock):
    async def main():
        vigil = _Vigil()
        vigil.begin()
        clock(0.5 * _Vigil.SECONDS)
        vigil.end()
        vigil.begin()
        vigil.begin()  # of another client: one look is enough for both
        assert await looks() == 5
        clock(2 * _Vigil.SECONDS)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert await looks() == 0

    asyncio.run(main())


def test_a_slow_client_ends_it(clock):
    async def main():
        vigil = _Vigil()
        vigil.begin()
        vigil.end()
        clock(2 * _Vigil.SECONDS)
        vigil.end()
        vigil.begin()
        assert await looks() == 0

    asyncio.run(main())
