"""MLServer: a custom runtime in the server's own process, the Open Inference Protocol in JSON."""

import numpy as np
import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Digits(MLModel):
    """Answers one input, uint8 ``[N, 28, 28]``."""

    async def load(self) -> bool:
        """Load the network."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(self.settings.parameters.uri, options)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Return probabilities float32 ``[N, 10]``."""
        images = NumpyCodec.decode_input(payload.inputs[0])
        logits = self.session.run(None, {"pixels": images})[0]
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares = powers / powers.sum(axis=1, keepdims=True)
        return InferenceResponse(
            model_name=self.name, outputs=[NumpyCodec.encode_output("probabilities", shares)]
        )
