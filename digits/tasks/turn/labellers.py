"""Who labels the queue of a loop: an oracle that knows the answers, or people on the page."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from digits.contract.labelling import LabelStore
from digits.tasks.invocation import ask
from digits.tasks.progress import progress
from digits.tasks.screens import screen

ORACLE = "oracle"
LOOK_SECONDS = 1.0


def ask_oracle(store: LabelStore, address: str, truth: Mapping[str, int]) -> None:
    """Have the oracle answer the queue as the page does.

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


def _say(address: str, act: str, **facts: int) -> dict[str, Any]:
    body = json.dumps({"labeller": ORACLE, **facts}).encode()
    return ask(f"{address}/v1/labelling/{act}", body, kind="application/json")


def wait_for_people(store: LabelStore, address: str) -> None:
    """Wait until every sample is labelled or skipped at ``address/label``."""
    left = _left(store)
    screen.standard_output().print(f"Label {left} samples at {address}/label")
    with progress(left) as step:
        while left:
            time.sleep(LOOK_SECONDS)
            now = _left(store)
            for _ in range(left - now):  # none where a label was taken back
                step("labelling")
            left = now


def _left(store: LabelStore) -> int:
    found = store.progress()
    return found.queued - found.labelled - found.disputed - found.skipped
