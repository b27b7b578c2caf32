"""What is measured of every single image: the model's answer, and how strange the image is to it.

All of it comes from files of the bundle, by ONNX Runtime: torch is not loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from digits.contract.manifest import ANSWER, GRADIENT, NEIGHBOURS, ONNX, Manifest
from digits.features.shape import shape_features
from digits.monitoring.distances import Nearest, Spread, Subspace

Floats = NDArray[np.float32]

BATCH = 500
ERRORS_ONLY = 3  # ONNX Runtime's log level
LEAST = 1e-7  # probability: float32 knows nothing nearer to 0 or 1


@dataclass(frozen=True)
class Signals:
    """What is known of N images; what a bundle or a window cannot give is left out.

    Attributes:
        probabilities: calibrated, float32 ``[N, 10]``.
        scores: name -> float32 ``[N]``, larger for what is stranger to the model.
        embedding: float32 ``[N, E]``; None where it is not known.
        shape: float32 ``[N, F]``, see ``digits.features.shape``; None without pixels.
    """

    probabilities: Floats
    scores: Mapping[str, Floats]
    embedding: Floats | None = None
    shape: Floats | None = None

    def __len__(self) -> int:
        return len(self.probabilities)

    @classmethod
    def of_answers(cls, probabilities: Floats) -> Self:
        """Return what is known where only the answers ``[N, 10]`` were kept."""
        return cls(probabilities, {"doubt": doubt(probabilities)})

    def take(self, chosen: NDArray[Any]) -> Signals:
        """Return those of some of the images, by indices or a mask."""
        return Signals(
            self.probabilities[chosen],
            {name: values[chosen] for name, values in self.scores.items()},
            None if self.embedding is None else self.embedding[chosen],
            None if self.shape is None else self.shape[chosen],
        )


def doubt(probabilities: Floats) -> Floats:
    """Return minus the log odds of the likeliest digit of ``[N, 10]``: float32 ``[N]``."""
    sure = np.clip(probabilities.max(1).astype(np.float64), LEAST, 1 - LEAST)
    odds: Floats = np.log((1 - sure) / sure).astype(np.float32)
    return odds


class Observer:
    """Measures images with a bundle.

    Args:
        folder: a bundle that was verified.
        manifest: its manifest.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.lacks = [name for name in (ANSWER, GRADIENT, NEIGHBOURS) if name not in manifest.files]
        self._temperature = manifest.temperature or 1.0
        self._model = _opened(folder / ONNX)
        self._answer = None if ANSWER in self.lacks else _opened(folder / ANSWER)
        self._gradient = None if GRADIENT in self.lacks else _opened(folder / GRADIENT)
        self._distances: dict[str, Any] = {}
        if NEIGHBOURS not in self.lacks:
            with np.load(folder / NEIGHBOURS, allow_pickle=False) as known:
                images, embeddings = known["images"], known["embeddings"]
            if self._gradient is not None:
                self._distances["embedding"] = Nearest(embeddings)
            self._distances["shape"] = Spread.of(shape_features(images))
            self._distances["pixels"] = Subspace.of(_flat(images))

    def __call__(self, images: NDArray[np.uint8]) -> Signals:
        """Measure images uint8 ``[N, 28, 28]``; N above 0."""
        probabilities, scores = self._answers(images)
        scores = {"doubt": doubt(probabilities), **scores}
        embedding, shape = self._embedding(images), shape_features(images)
        seen = {"embedding": embedding, "shape": shape, "pixels": _flat(images)}
        for name, distance in self._distances.items():
            scores[f"{name}_distance"] = distance(seen[name])
        return Signals(probabilities, scores, embedding, shape)

    def _answers(self, images: NDArray[np.uint8]) -> tuple[Floats, dict[str, Floats]]:
        if self._answer is not None:
            probabilities, novelty = _run(
                self._answer, ("probabilities", "novelty"), lambda part: {"pixels": part}, images
            )
            return probabilities, {"novelty": novelty}
        (logits,) = _run(self._model, ("logits",), lambda part: {"pixels": part}, images)
        scaled = logits / self._temperature
        raised = np.exp(scaled - scaled.max(1, keepdims=True))
        return raised / raised.sum(1, keepdims=True), {}

    def _embedding(self, images: NDArray[np.uint8]) -> Floats | None:
        if self._gradient is None:
            return None
        (embedding,) = _run(
            self._gradient,
            ("embedding",),
            lambda part: {"pixels": part.astype(np.float32), "target": np.zeros(len(part), int)},
            images,
        )
        return embedding


def _run(
    session: onnxruntime.InferenceSession, outputs: tuple[str, ...], feed: Any, images: Any
) -> list[Floats]:
    starts = range(0, len(images), BATCH)
    parts = [session.run(list(outputs), feed(images[at : at + BATCH])) for at in starts]
    return [np.concatenate(each) for each in zip(*parts, strict=True)]


def _flat(images: NDArray[np.uint8]) -> Floats:
    return images.reshape(len(images), -1).astype(np.float32) / np.float32(255)


def _opened(file: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = ERRORS_ONLY
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
