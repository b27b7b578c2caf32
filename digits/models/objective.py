"""What one training step learns from: the `training` config group."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from pydantic import Field
from torch import Tensor
from torch.nn import functional

Classify = Callable[[Tensor], Tensor]


class Supervised:
    """Cross-entropy on labelled digits.

    Args:
        label_smoothing: share of the target spread evenly over the classes (Szegedy et al. 2016,
            "Rethinking the Inception Architecture", section 7).
    """

    def __init__(self, label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0) -> None:
        self.label_smoothing = label_smoothing

    def __call__(self, classify: Classify, pixels: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean loss (scalar) and the logits ``[B, 10]`` of one batch."""
        logits = classify(pixels)
        loss = functional.cross_entropy(logits, labels, label_smoothing=self.label_smoothing)
        return loss, logits
