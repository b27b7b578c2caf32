"""A trained model's embedding of images, by the graph in its bundle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digits.contract.manifest import GRADIENT
from digits.errors import FeatureError
from digits.features.ingest import Embed

OUTPUT = "embedding"
CHUNK = 256


def embedding(bundle: Path) -> Embed:
    """Return the embedding of the model in a bundle: uint8 ``[N, 28, 28]`` -> float32 ``[N, E]``.

    Raises:
        FeatureError: the bundle has none.
    """
    import onnxruntime

    file = bundle / GRADIENT
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = None
    if file.is_file():
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    if session is None or OUTPUT not in [each.name for each in session.get_outputs()]:
        raise FeatureError(f"version: the model in {bundle} has no embedding; train it again")

    def embed(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        found = []
        for begin in range(0, len(images), CHUNK):
            pixels = images[begin : begin + CHUNK].astype(np.float32)
            target = np.zeros(len(pixels), np.int64)
            found.append(session.run([OUTPUT], {"pixels": pixels, "target": target})[0])
        whole: NDArray[np.float32] = np.concatenate(found)
        return whole

    return embed
