"""One model as it is served: a bundle loaded into ONNX Runtime."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from digits.contract.manifest import ANSWER, GRADIENT, NEIGHBOURS, ONNX, Manifest, verify
from digits.errors import RegistryError
from serving.errors import RequestError
from serving.explanations import Explainer, Explanation, Method
from serving.neighbours import Neighbour, Neighbours

ERRORS_ONLY = 3  # ONNX Runtime's log level
AT_ONCE = 32  # images of one run: what more of them fill falls out of the processor's cache

Images = NDArray[np.uint8]


@dataclass(slots=True)
class Answers:
    """What a model says of N images.

    Attributes:
        probabilities: of each class, float32 ``[N, 10]``, rows sum to 1.
        is_digit: whether the image is a digit at all, bool ``[N]``; None where the bundle has no
            abstention.
    """

    probabilities: NDArray[np.float32]
    is_digit: NDArray[np.bool_] | None

    def __getitem__(self, rows: slice) -> Answers:
        """Return those of some of the images."""
        is_digit = None if self.is_digit is None else self.is_digit[rows]
        return Answers(self.probabilities[rows], is_digit)


class ServedModel:
    """A bundle that answers; every file was held against the manifest's digests before.

    Args:
        folder: the bundle.
        version: what answers name it, for example ``digits/3``; the beginning of its digest where
            it is not registered.
        threads: of ONNX Runtime.

    Raises:
        RegistryError: the bundle is damaged, or of a newer schema.
    """

    def __init__(self, folder: Path, *, version: str | None = None, threads: int = 1) -> None:
        self.folder = folder
        self.manifest: Manifest = verify(folder)
        self.version = version or self.manifest.files[ONNX][:12]
        self.preprocess = self.manifest.preprocess()
        self._threads = threads
        self._logits = self.session(ONNX)
        self._temperature = np.float32(self.manifest.temperature or 1.0)
        files, abstention = self.manifest.files, self.manifest.abstention
        self._answer = self.session(ANSWER) if ANSWER in files and abstention else None
        self._threshold = np.float32(abstention.threshold if abstention else np.inf)
        self._explainer = (
            Explainer(self.session(GRADIENT), self.logits) if GRADIENT in files else None
        )
        self._neighbours = Neighbours(folder / NEIGHBOURS) if NEIGHBOURS in files else None

    def session(self, name: str) -> onnxruntime.InferenceSession:
        """Load one of the bundle's graphs."""
        options = onnxruntime.SessionOptions()
        options.log_severity_level = ERRORS_ONLY
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        return onnxruntime.InferenceSession(
            self.folder / name, options, providers=["CPUExecutionProvider"]
        )

    def describe(self) -> dict[str, Any]:
        """Say what this model is, what it learned from, and what its bundle lacks."""
        manifest = self.manifest
        return {
            "version": self.version,
            "created": manifest.created.isoformat(),
            "parameters": manifest.parameters,
            "data": {"name": manifest.data_name, "digest": manifest.data_digest},
            "metrics": manifest.metrics,
            "lacks": manifest.lacking(),
        }

    def predict(self, images: Images) -> Answers:
        """Answer images uint8 ``[N, 28, 28]``, ink high on 0."""
        if self._answer is None:
            return Answers(_softmax(self.logits(images) / self._temperature), None)
        probabilities, novelty = _run(self._answer, images)
        return Answers(probabilities, novelty <= self._threshold)

    def logits(self, images: Images) -> NDArray[np.float32]:
        """Return what the network itself says, float32 ``[N, 10]``."""
        return _run(self._logits, images)[0]

    def explain(self, image: Images, method: Method, target: int) -> Explanation:
        """Say how much each pixel of an image uint8 ``[28, 28]`` speaks for ``target``.

        Raises:
            RequestError: the bundle lacks what that takes.
        """
        if self._explainer is None:
            raise self._lacks(GRADIENT)
        return self._explainer(image, method, target)

    def nearest(self, image: Images, count: int) -> list[Neighbour]:
        """Return the training digits most like an image uint8 ``[28, 28]``, the nearest first.

        Raises:
            RequestError: the bundle lacks what that takes.
        """
        if not count:
            return []
        if self._explainer is None or self._neighbours is None:
            raise self._lacks(NEIGHBOURS)
        return self._neighbours.nearest(self._explainer.embed(image), count)

    def _lacks(self, part: str) -> RequestError:
        message = f"{self.version} cannot do that: its bundle lacks {part}; train a new version"
        return RequestError(409, "lacking", message)

    def dry_run(self) -> None:
        """Answer the digit that the bundle brings along; a bundle without one, a blank page.

        Raises:
            RegistryError: the answer is none, or another one.
        """
        known = self.manifest.dry_run
        image = np.zeros((28, 28), np.uint8) if known is None else known.image
        probabilities = self.predict(image[None]).probabilities
        if probabilities.shape != (1, 10) or not np.isfinite(probabilities).all():
            raise RegistryError(f"{self.folder}: the model gives no probabilities of ten digits")
        if known is not None and (found := int(probabilities[0].argmax())) != known.label:
            raise RegistryError(
                f"{self.folder}: the model answers {found} to the digit in its bundle, which is a "
                f"{known.label}"
            )


def loaded(folder: Path, *, version: str | None = None, threads: int = 1) -> ServedModel:
    """Load a bundle and try it out; see :class:`ServedModel` for what it takes.

    Raises:
        RegistryError: the bundle is damaged, of a newer schema, or does not answer as it should.
    """
    try:
        model = ServedModel(folder, version=version, threads=threads)
        model.dry_run()
    except RegistryError:
        raise
    except Exception as error:
        # ONNX Runtime has an error of its own for each way a graph can be unusable.
        raise RegistryError(f"{folder} cannot be served: {error}") from error
    return model


def _run(session: onnxruntime.InferenceSession, images: Images) -> list[NDArray[np.float32]]:
    """Return the outputs of a graph for all images, which it is given a few at a time."""
    if len(images) <= AT_ONCE:
        outputs: list[NDArray[np.float32]] = session.run(None, {"pixels": images})
        return outputs
    starts = range(0, len(images), AT_ONCE)
    runs = [session.run(None, {"pixels": images[at : at + AT_ONCE]}) for at in starts]
    return [np.concatenate(parts) for parts in zip(*runs, strict=True)]


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: NDArray[np.float32] = powers / powers.sum(axis=1, keepdims=True)
    return shares
