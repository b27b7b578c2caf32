"""BentoML: one worker; the line that it logs of each request is switched off, as for all."""

import os

import bentoml
import numpy as np
import onnxruntime


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Digits:
    """Answers ``{"pixels": [784 numbers]}``."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(os.environ["PEER_MODEL"], options)

    @bentoml.api
    async def predict(self, pixels: list[int]) -> dict:
        """Return the digit and its probabilities."""
        images = np.array(pixels, np.uint8).reshape(1, 28, 28)
        logits = self.session.run(None, {"pixels": images})[0][0]
        powers = np.exp(logits - logits.max())
        return {"digit": int(logits.argmax()), "probabilities": (powers / powers.sum()).tolist()}
