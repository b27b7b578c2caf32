"""A small data set in a feature store, and served samples beside it."""

from __future__ import annotations

import importlib.util
from datetime import UTC, datetime
from struct import pack

import numpy as np
import pytest

from digits.contract.labelling import LabelStore
from digits.contract.traffic import TrafficStore
from digits.data.types import Digits, Split
from digits.features.push import Push
from tests.integration.labelling import queued
from tests.integration.traffic import prediction

#: importing it to see whether it is there would set variables that other tests read
needs_feast = pytest.mark.skipif(
    importlib.util.find_spec("feast") is None, reason="the extra features is not installed"
)
SHARES = pack("<10f", 0, 0.125, 0, 0.75, *[0] * 5, 0.125)
START = datetime(2026, 1, 1, tzinfo=UTC)


def split(count, seed):
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (count, 28, 28), np.uint8)
    return Split(images, random.integers(0, 10, count))


def few():
    """Fifty-four samples unlike any other."""
    return Digits("uci", "few", train=split(40, 0), validation=split(6, 1), test=split(8, 2))


class Service:
    """What was served and labelled, at an address, and the push of it into a feature store."""

    def __init__(self, url):
        self.traffic, self.labels = TrafficStore(url), LabelStore(url)

    def serve(self, count=1, **values):
        """Answer predictions and return them."""
        rows = [prediction(**{"probabilities": SHARES, **values}) for _ in range(count)]
        self.traffic.write(rows)
        return rows

    def queue(self, row, **values):
        """Queue a prediction for labelling; return its sample."""
        self.labels.enqueue([queued(sample=row.id, pixels=row.pixels, time=row.time, **values)])
        return row.id

    def push(self, store, **values):
        """Bring in all there is; return predictions and labels."""
        push, predictions, labels = Push(store, self.traffic, self.labels, **values), 0, 0
        while not (done := push.step()).is_all:
            predictions, labels = predictions + done.predictions, labels + done.labels
        return predictions, labels

    def close(self):
        self.traffic.close()
        self.labels.close()
