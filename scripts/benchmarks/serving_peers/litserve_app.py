"""LitServe: one worker, no batching (the network is faster than a batch is gathered).

``fast_queue`` is what its documentation recommends above 100 requests a second.
"""

import os

import litserve
import numpy as np
import onnxruntime


class Digits(litserve.LitAPI):
    """Answers ``{"pixels": [784 numbers]}``."""

    def setup(self, device):
        """Load the network in the worker."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(os.environ["PEER_MODEL"], options)

    def decode_request(self, request):
        """Return the image."""
        return np.array(request["pixels"], np.uint8).reshape(1, 28, 28)

    def predict(self, x):
        """Return its logits."""
        return self.session.run(None, {"pixels": x})[0][0]

    def encode_response(self, output):
        """Return the digit and its probabilities."""
        powers = np.exp(output - output.max())
        return {"digit": int(output.argmax()), "probabilities": (powers / powers.sum()).tolist()}


if __name__ == "__main__":
    server = litserve.LitServer(
        Digits(), accelerator="cpu", workers_per_device=1, fast_queue=True, timeout=60
    )
    server.run(
        host="127.0.0.1",
        port=int(os.environ["PEER_PORT"]),
        num_api_servers=1,
        log_level="warning",
        access_log=False,
        generate_client_file=False,
    )
