"""Who labels the queue of a loop: an oracle that knows the answers, or people on the page."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from digits.contract.labelling import LabelStore
from digits.tasks import screen
from digits.tasks.invocation import ask
from digits.tasks.progress import progress

ORACLE = "oracle"
LOOK_SECONDS = 1.0


def ask_oracle(store: LabelStore, address: str, truth: Mapping[str, int]) -> int:
    """Have the oracle answer the queue as the page does; return how many labels count.

    Args:
        store: holds the queue.
        address: of the service.
        truth: sample -> its label; what is not in it is left to others.
    """
    desk = _say(address, "next")
    while (sample := desk["sample"]) is not None:
        number = sample["number"]
        known = truth.get(store.numbered(number))
        if known is None:
            desk = _say(address, "skip", number=number)
        else:
            desk = _say(address, "label", number=number, label=known)
    return store.progress().labelled


def _say(address: str, act: str, **facts: int) -> dict[str, Any]:
    body = json.dumps({"labeller": ORACLE, **facts}).encode()
    return ask(f"{address}/v1/labelling/{act}", body, kind="application/json")


def wait_for_people(store: LabelStore, address: str) -> int:
    """Wait until every sample is labelled at ``address/label``; return how many labels count."""
    queued = store.progress().queued
    screen.standard_output().print(f"Label {queued} samples at {address}/label")
    done = 0
    with progress(queued) as step:
        while True:
            found = store.progress()
            for _ in range(found.labelled + found.disputed - done):
                step("labelling")
            done = found.labelled + found.disputed
            if done >= queued:
                return found.labelled
            time.sleep(LOOK_SECONDS)
