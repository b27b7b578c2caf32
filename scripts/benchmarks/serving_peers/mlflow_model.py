"""MLflow: the network as a model of its ONNX flavour, for ``mlflow models serve``."""

import sys

import mlflow
import numpy as np
import onnx
from mlflow.models import ModelSignature
from mlflow.types import Schema, TensorSpec


def main(network: str, folder: str) -> None:
    """Save ``network`` to ``folder``; the signature has the server make uint8 of the numbers."""
    signature = ModelSignature(
        inputs=Schema([TensorSpec(np.dtype(np.uint8), (-1, 28, 28), "pixels")]),
        outputs=Schema([TensorSpec(np.dtype(np.float32), (-1, 10), "logits")]),
    )
    mlflow.onnx.save_model(
        onnx.load(network),
        folder,
        signature=signature,
        onnx_execution_providers=["CPUExecutionProvider"],
        onnx_session_options={"intra_op_num_threads": 1},
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
