"""Ray Serve: one replica, with HAProxy and the other switches of its high-throughput mode."""

import os
import signal

import numpy as np
import onnxruntime
import ray
from ray import serve
from starlette.requests import Request


@serve.deployment(num_replicas=1, max_ongoing_requests=100)
class Digits:
    """Answers ``{"pixels": [784 numbers]}``."""

    def __init__(self, network: str) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(network, options)

    async def __call__(self, request: Request) -> dict:
        """Return the digit and its probabilities."""
        content = await request.json()
        images = np.array(content["pixels"], np.uint8).reshape(1, 28, 28)
        logits = self.session.run(None, {"pixels": images})[0][0]
        powers = np.exp(logits - logits.max())
        return {"digit": int(logits.argmax()), "probabilities": (powers / powers.sum()).tolist()}


if __name__ == "__main__":
    ray.init(num_cpus=2, include_dashboard=False, object_store_memory=100 * 1024**2)
    serve.start(http_options={"host": "127.0.0.1", "port": int(os.environ["PEER_PORT"])})
    serve.run(
        Digits.bind(os.environ["PEER_MODEL"]),
        logging_config={"enable_access_log": False, "log_level": "WARNING"},
    )
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    serve.shutdown()
    ray.shutdown()
