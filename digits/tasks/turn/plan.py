"""How a turn of the loop is played: the `loop` keys of `task=loop`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

Count = Annotated[int, Field(ge=1, le=1_000_000)]
Labels = Literal["oracle", "page"]

#: the corruptions of :mod:`digits.evaluation.corruptions`, which a cheap command does not load
Shift = Literal[
    "shot_noise", "impulse_noise", "glass_blur", "motion_blur", "shear", "scale", "rotate",
    "brightness", "translate", "stripe", "fog", "spatter", "dotted_line", "zigzag", "canny_edges",
]  # fmt: skip

StepName = Literal[
    "train_first", "promote_first", "serve", "drift", "select", "ingest", "push", "retrain",
    "judge", "promote", "rollback",
]  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """What is sent, when it changes, and how much is labelled.

    Attributes:
        shift: the corruption that sets in.
        requests: digits sent before it, and again in the end.
        window: digits between two looks for drift.
        patience: looks, until the loop is given up.
        labels: samples to be labelled.
        labelled_by: ``oracle``, which knows the answers, or people on the ``page``.
        repeat: how often each of them is learned from.
        canary: digits sent while the new model answers a share of them.
        canary_percent: that share.
        more: step -> overrides that its command gets besides.
    """

    shift: Shift
    requests: Count = 400
    window: Count = 100
    patience: Count = 10
    labels: Count = 100
    labelled_by: Labels = "oracle"
    repeat: Annotated[int, Field(ge=1, le=1000)] = 5
    canary: Count = 200
    canary_percent: Annotated[float, Field(gt=0, le=100)] = 30.0
    more: Mapping[StepName, Sequence[str]] = field(default_factory=dict)
