"""TorchServe: a handler around ONNX Runtime, one worker."""

from pathlib import Path

import numpy as np
import onnxruntime
from ts.torch_handler.base_handler import BaseHandler


class Digits(BaseHandler):
    """Answers ``{"pixels": [784 numbers]}``."""

    def initialize(self, context):
        """Load the network of the archive."""
        folder = context.system_properties["model_dir"]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(Path(folder) / "model.onnx", options)
        self.initialized = True

    def handle(self, data, context):
        """Answer a batch of requests."""
        bodies = [each.get("body") or each.get("data") for each in data]
        images = np.array([body["pixels"] for body in bodies], np.uint8).reshape(-1, 28, 28)
        answers = []
        for logits in self.session.run(None, {"pixels": images})[0]:
            powers = np.exp(logits - logits.max())
            shares = (powers / powers.sum()).tolist()
            answers.append({"digit": int(logits.argmax()), "probabilities": shares})
        return answers
