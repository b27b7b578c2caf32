"""Samples to label, and processes that label them."""

from __future__ import annotations

import os
import sys
import time
from struct import pack

from digits.contract.label import Queued
from digits.contract.labelling import LabelStore
from digits.contract.prediction import new_id


def queued(**values):
    """One that is unlike any other."""
    usual = {
        "sample": new_id(),
        "pixels": os.urandom(784),
        "probabilities": pack("<10f", 0, 0.125, 0, 0.75, *[0] * 5, 0.125),
        "digit": 3,
        "confidence": 0.75,
        "version": "digits/3",
        "score": 0.5,
        "method": "margin",
        "time": time.time(),
    }
    return Queued(**usual | values)


def label_all(url, labeller):
    """Label whatever comes as its digit, and print each when the store says it is kept."""
    store = LabelStore(url)
    while (row := store.next(labeller)) is not None:
        number = store.label(row.sample, labeller, row.digit)
        sys.stdout.write(f"{number} {row.sample} {labeller}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    label_all(*sys.argv[1:])
