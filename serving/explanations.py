"""Where a model looked, worked out without torch, from the gradient graph of its bundle.

Each method gives what Captum gives (:mod:`digits.evaluation.explainers`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np
import onnxruntime
from numpy.typing import NDArray

Method = Literal["saliency", "integrated_gradients", "occlusion"]
Floats = NDArray[np.float32]

STEPS = 32  # on the way from the blank page
WINDOW, STRIDE, SIDE = 4, 2, 28  # of occlusion, in pixels


@dataclass(frozen=True, slots=True)
class Explanation:
    """How much each pixel mattered to one answer.

    Attributes:
        attribution: float32 ``[28, 28]``; in logits, of ``saliency`` in logits per grey level.
        completeness_gap: by how many logits the sum of the attribution differs from the difference
            of the target's logit to that of the blank page; None of a method that does not share
            that difference out.
    """

    attribution: Floats
    completeness_gap: float | None


class Explainer:
    """Explains the answers of one model.

    Args:
        gradient: the bundle's ``gradient.onnx`` (see :mod:`digits.contract.manifest`).
        logits: images uint8 ``[N, 28, 28]`` -> logits float32 ``[N, 10]``.
    """

    def __init__(
        self,
        gradient: onnxruntime.InferenceSession,
        logits: Callable[[NDArray[np.uint8]], Floats],
    ) -> None:
        self._gradient = gradient
        self._logits = logits

    def __call__(self, image: NDArray[np.uint8], method: Method, target: int) -> Explanation:
        """Explain why an image uint8 ``[28, 28]`` is, or is not, a ``target`` in 0..9."""
        if method == "saliency":
            return self._saliency(image, target)
        if method == "integrated_gradients":
            return self._integrated_gradients(image, target)
        return self._occlusion(image, target)

    def embed(self, image: NDArray[np.uint8]) -> Floats:
        """Return the embedding float32 ``[E]`` of an image uint8 ``[28, 28]``."""
        embedding: Floats = self._run(["embedding"], image[None].astype(np.float32), 0)[0][0]
        return embedding

    def _run(self, outputs: list[str], pixels: Floats, target: int) -> list[Floats]:
        targets = np.full(len(pixels), target, np.int64)
        found: list[Floats] = self._gradient.run(outputs, {"pixels": pixels, "target": targets})
        return found

    def _saliency(self, image: NDArray[np.uint8], target: int) -> Explanation:
        """Magnitude of the gradient (Simonyan et al. 2014, "Deep inside convolutional nets")."""
        (gradient,) = self._run(["gradient"], image[None].astype(np.float32), target)
        return Explanation(np.abs(gradient[0]), None)

    def _integrated_gradients(self, image: NDArray[np.uint8], target: int) -> Explanation:
        """Gradients along the way from the blank page, by a Gauss-Legendre sum.

        Sundararajan et al. 2017, "Axiomatic attribution for deep networks", eq. 3.
        """
        pixels = image.astype(np.float32)
        way = SHARES[:, None, None] * pixels
        gradients, logits = self._run(["gradient", "logits"], way, target)
        attribution = pixels * np.tensordot(WEIGHTS, gradients[:STEPS], axes=1)
        blank, whole = logits[STEPS:, target]
        return Explanation(attribution, abs(float(attribution.sum() - (whole - blank))))

    def _occlusion(self, image: NDArray[np.uint8], target: int) -> Explanation:
        """Mean loss of logit over the blank squares that cover a pixel (Zeiler and Fergus 2014)."""
        hidden = np.where(SQUARES, np.uint8(0), image)
        logits = self._logits(np.concatenate([hidden, image[None]]))[:, target]
        losses = logits[-1] - logits[:-1]
        return Explanation(np.tensordot(losses, SQUARES, axes=1) / COVERING, None)


def _way() -> tuple[Floats, Floats]:
    """Return where on the way gradients are taken, then its ends; and what each gradient weighs."""
    places, weights = np.polynomial.legendre.leggauss(STEPS)
    shares = np.append((1 + places) / 2, [0, 1])
    return shares.astype(np.float32), (weights / 2).astype(np.float32)


def _squares() -> NDArray[np.bool_]:
    """Return the squares, bool ``[S, 28, 28]``."""
    starts = range(0, SIDE - WINDOW + 1, STRIDE)
    squares = np.zeros((len(starts) ** 2, SIDE, SIDE), bool)
    for square, (top, left) in zip(squares, product(starts, starts), strict=True):
        square[top : top + WINDOW, left : left + WINDOW] = True
    return squares


SHARES, WEIGHTS = _way()
SQUARES = _squares()
COVERING = SQUARES.sum(axis=0, dtype=np.float32)  # each pixel
