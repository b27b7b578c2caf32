"""What one training step learns from: the `training` config group."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

Classify = Callable[[Tensor], Tensor]


class Supervised:
    """Cross-entropy on labelled digits, and doubt about what is no digit.

    Args:
        label_smoothing: share of the target spread evenly over the classes (Szegedy et al. 2016,
            "Rethinking the Inception Architecture", section 7).
        blanks: blank pages that each batch gets on top, all digits equally likely for them
            (Hendrycks et al. 2019, "Deep Anomaly Detection with Outlier Exposure"); each weighs
            as much as a digit. Without any, a network may be quite sure that blank paper is a 1.
    """

    def __init__(
        self,
        label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0,
        blanks: Annotated[int, Field(ge=0)] = 0,
    ) -> None:
        self.label_smoothing = label_smoothing
        self.blanks = blanks

    def __call__(self, classify: Classify, pixels: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss (scalar) and the logits ``[B, 10]`` of one batch.

        The loss is the mean over the digits and the blank pages.
        """
        count = len(labels)
        if self.blanks:
            pixels = torch.cat([pixels, pixels.new_zeros(self.blanks, *pixels.shape[1:])])
        answers = classify(pixels)
        logits = answers[:count]
        loss = functional.cross_entropy(logits, labels, label_smoothing=self.label_smoothing)
        if self.blanks:
            doubt = -functional.log_softmax(answers[count:], dim=1).mean()
            loss = (count * loss + self.blanks * doubt) / (count + self.blanks)
        return loss, logits
