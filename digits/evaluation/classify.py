"""A trained model as one function, whichever runtime computes it: images in, logits out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from digits.data.types import CLASSES

if TYPE_CHECKING:
    from torch import nn

#: images uint8 ``[N, 28, 28]`` -> logits float32 ``[N, 10]``; N may be 0
Classify = Callable[[NDArray[np.uint8]], NDArray[np.float32]]

BATCH = 1000  # images at once; more gain nothing, and memory stays small
ROUNDING = 1e-3  # of logits; kernels of two libraries differ by 1e-5
ERRORS_ONLY = 3  # ONNX Runtime's log level


def onnx_classifier(file: Path | bytes) -> Classify:
    """Return what an exported graph, or its content, computes by ONNX Runtime, without torch."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = ERRORS_ONLY
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def answer(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        logits: NDArray[np.float32] = session.run(None, {name: images})[0]
        return logits

    return _in_batches(answer)


def torch_classifier(network: nn.Module) -> Classify:
    """Return what a network of pixels (``[N, 28, 28]`` uint8 -> logits) computes, by torch.

    It answers in evaluation mode and is left in the mode that it was in.
    """
    import torch  # whoever evaluates a graph only does without it

    def answer(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        was_training, threads = network.training, torch.get_num_threads()
        network.eval()
        if len(images) == 1:  # is no faster with several, which wait for each other on a busy core
            torch.set_num_threads(1)
        with torch.inference_mode():
            logits: NDArray[np.float32] = network(torch.from_numpy(images)).float().numpy()
        torch.set_num_threads(threads)
        network.train(was_training)
        return logits

    return _in_batches(answer)


def _in_batches(answer: Classify) -> Classify:
    def classify(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        images = np.ascontiguousarray(images)
        starts = range(0, len(images), BATCH)
        parts = [answer(images[start : start + BATCH]) for start in starts]
        return np.concatenate([np.zeros((0, CLASSES), np.float32), *parts])

    return classify


@dataclass(frozen=True)
class Agreement:
    """How far two runtimes of one model are from each other on ``count`` images.

    Attributes:
        count: images that both were asked.
        disagreements: images on which the two name another digit.
        largest_difference: largest absolute difference of any logit.
    """

    count: int
    disagreements: int
    largest_difference: float

    @property
    def is_one_model(self) -> bool:
        """Whether they differ by rounding alone: then another digit is a tie, not a fault."""
        return self.largest_difference <= ROUNDING


class Compared:
    """A classifier that answers as the first of two, and counts where the second one differs.

    Every image that it is ever asked counts, so the two are compared on all of an evaluation.
    """

    def __init__(self, first: Classify, second: Classify) -> None:
        self.first = first
        self.second = second
        self.agreement = Agreement(0, 0, 0.0)

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See :data:`Classify`."""
        ours, theirs = self.first(images), self.second(images)
        so_far = self.agreement
        apart = float(np.abs(ours - theirs).max(initial=0.0))
        self.agreement = Agreement(
            so_far.count + len(ours),
            so_far.disagreements + int((ours.argmax(1) != theirs.argmax(1)).sum()),
            max(so_far.largest_difference, apart),
        )
        return ours
