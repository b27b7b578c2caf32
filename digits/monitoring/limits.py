"""What counts as drift, and what follows: the `drift` config group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field


@dataclass(frozen=True)
class Limits:
    """Limits of a verdict.

    Attributes:
        false_alarms: share of clean windows that may be called shifted, all signals together.
        tolerated_loss: of accuracy, in 0..1: a shift that is estimated to cost no more is harmless.
        alarm: what drift is: ``harm``, a shift that costs accuracy; or ``shift``, any.
        fail: end with exit code 10 for drift, and 11 where it cannot be told.
        evidently: write Evidently's report too.
    """

    false_alarms: Annotated[float, Field(ge=0.001, le=0.5)] = 0.02
    tolerated_loss: Annotated[float, Field(ge=0, lt=1)] = 0.02
    alarm: Literal["harm", "shift"] = "harm"
    fail: bool = False
    evidently: bool = True

    def is_drift(self, status: str) -> bool:
        """Tell whether a window of this status is to be called drift."""
        return status == "harmful" or (self.alarm == "shift" and status == "shifted")
