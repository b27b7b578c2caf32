"""Predictions to store, and processes that store them."""

from __future__ import annotations

import os
import sys
import time

from digits.contract.prediction import Prediction, new_id
from digits.contract.traffic import TrafficStore
from serving.recorder import Recorder
from serving.settings import Traffic


def prediction(**values):
    """One that is unlike any other."""
    usual = {
        "id": new_id(),
        "time": time.time(),
        "key": None,
        "pixels": os.urandom(784),
        "probabilities": os.urandom(40),
        "digit": 3,
        "confidence": 0.75,
        "is_digit": True,
        "version": "digits/3",
        "deployment": "test",
        "source": "predict",
    }
    return Prediction(**usual | values)


def recorder(url, **settings):
    """Record to ``url``."""
    started = Recorder(Traffic(url=url, **settings), deployment="test")
    started.start()
    return started


def stored(store):
    """Return every prediction in the store, by its number."""
    return [each for chunk in store.read(chunk=700) for each in chunk]


def until(true, seconds=10):
    """Wait until something is true."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def write(url, count):
    """Write ``count`` predictions in batches of all sizes; print their ids."""
    store, size = TrafficStore(url), 1
    while count:
        rows = [prediction() for _ in range(min(size, count))]
        store.write(rows)
        sys.stdout.writelines(f"{row.id}\n" for row in rows)
        sys.stdout.flush()
        count, size = count - len(rows), size + 37


def record_for_ever(url, flush_seconds):
    """Put predictions at a steady pace; print the id and the time of each that was queued."""
    taken = recorder(url, flush_seconds=flush_seconds)
    while True:
        row = prediction()
        if taken.put(row):
            sys.stdout.write(f"{row.id} {time.time()}\n")
            sys.stdout.flush()
        time.sleep(0.0005)


def correct_for_ever(url, identifiers):
    """Correct one prediction after the other; print each id when the store says it is kept."""
    store = TrafficStore(url)
    for identifier in identifiers:
        store.correct(identifier, 7, origin="api")
        sys.stdout.write(f"{identifier}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _, _name, _url, *_rest = sys.argv
    if _name == "write":
        write(_url, int(_rest[0]))
    elif _name == "record":
        record_for_ever(_url, float(_rest[0]))
    else:
        correct_for_ever(_url, _rest)
