"""What somebody writes in an afternoon: FastAPI around ONNX Runtime, nothing checked or kept.

Raw request and orjson instead of pydantic models, which FastAPI's documentation names as the way
past the cost of validation; ``async def``, because a thread pool costs twice as much.
"""

import os

import numpy as np
import onnxruntime
import orjson
import uvicorn
from fastapi import FastAPI, Request, Response

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(os.environ["PEER_MODEL"], options)
app = FastAPI()


@app.post("/predict")
async def predict(request: Request) -> Response:
    """Answer ``{"pixels": [784 numbers]}`` with the digit and its probabilities."""
    content = orjson.loads(await request.body())
    images = np.array(content["pixels"], np.uint8).reshape(1, 28, 28)
    logits = session.run(None, {"pixels": images})[0][0]
    powers = np.exp(logits - logits.max())
    answer = {"digit": int(logits.argmax()), "probabilities": powers / powers.sum()}
    body = orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(body, media_type="application/json")


if __name__ == "__main__":
    uvicorn.run(
        app,
        port=int(os.environ["PEER_PORT"]),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )
