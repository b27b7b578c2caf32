"""What one training step learns from: the `training` config group."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

Classify = Callable[[Tensor], Tensor]


class Objective(Protocol):
    """What turns a batch into a loss."""

    def begin(self, network: nn.Module, unlabelled: NDArray[np.uint8]) -> None:
        """Take note of what is trained, and of images ``[M, 28, 28]`` that have no labels."""

    def __call__(self, classify: Classify, pixels: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss (scalar) and the logits ``[B, 10]`` of one batch.

        Args:
            classify: pixels ``[N, 28, 28]`` -> logits ``[N, 10]``.
            pixels: uint8, or float32 in 0..255, ``[B, 28, 28]``.
            labels: int64 ``[B]``.
        """

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed training has to know: tensors and plain values."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state_dict` has returned; called before :meth:`begin`."""


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

    def begin(self, network: nn.Module, unlabelled: NDArray[np.uint8]) -> None:
        """See :class:`Objective`; what has no label teaches nothing."""

    def state_dict(self) -> dict[str, Any]:
        """See :class:`Objective`; there is nothing to remember."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See :class:`Objective`."""

    def __call__(self, classify: Classify, pixels: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """See :class:`Objective`; the loss is the mean over the digits and the blank pages."""
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
