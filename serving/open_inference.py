"""The Open Inference Protocol, version 2: what KServe's and Triton's clients speak.

Requests and answers as in the KServe documentation ("Open Inference Protocol", V2), with the
binary tensor data extension of Triton Inference Server.
"""

from __future__ import annotations

from itertools import chain
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from serving.bodies import PIXELS, SIDE, check_count, key_of, parse_json, to_levels, to_numbers
from serving.call import Answer, Call, json_answer
from serving.errors import RequestError
from serving.model import Answers
from serving.predict import Predictor

MODEL = "digits"
ROUTE = f"/v2/models/{MODEL}/infer"
HEADER_LENGTH = b"inference-header-content-length"
DIGITS = 12  # of that; Python reads no number of thousands of digits
OCTETS = b"application/octet-stream"

#: datatype of the protocol -> NumPy's, little-endian as the binary extension has them
DATATYPES = {
    "BOOL": "?",
    "UINT8": "u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "INT8": "i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
}
INPUT = {"name": "pixels", "datatype": "UINT8", "shape": [-1, SIDE, SIDE]}
OUTPUTS = (
    {"name": "probabilities", "datatype": "FP32", "shape": [-1, 10]},
    {"name": "digit", "datatype": "INT64", "shape": [-1]},
    {"name": "is_digit", "datatype": "BOOL", "shape": [-1]},
)
SHAPES = "the shape must be [28, 28], [784], [N, 28, 28] or [N, 784]"


def server_metadata(version: str) -> dict[str, Any]:
    """Describe the server."""
    return {"name": MODEL, "version": version, "extensions": ["binary_tensor_data"]}


def model_metadata(version: str) -> dict[str, Any]:
    """Describe the model: its inputs and outputs."""
    return {
        "name": MODEL,
        "versions": [number(version)],
        "platform": "onnxruntime_onnx",
        "inputs": [INPUT],
        "outputs": list(OUTPUTS),
    }


def number(version: str) -> str:
    """Return what the protocol calls the version: ``3`` of ``digits/3``."""
    return version.rpartition("/")[2]


class Infer:
    """``POST /v2/models/digits/infer``."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    async def __call__(self, call: Call) -> Answer:
        """Answer a request, in JSON or with binary tensors."""
        content, images = await self._predictor.aside(
            call, lambda limits: _read(call, limits.batch)
        )
        by_number = "/versions/" in call.path  # of the champion: no challenger may answer instead
        answers, each, _ = await self._predictor.answers(
            images, key_of(call), route=ROUTE, champion=by_number
        )
        return _answer(content, answers, each[0].version)


def _read(call: Call, most: int) -> tuple[dict[str, Any], NDArray[np.uint8]]:
    """Return the JSON part of the body, and the images uint8 ``[N, 28, 28]``."""
    content, binary = _split(call)
    return content, _images(content, binary, most)


def _split(call: Call) -> tuple[dict[str, Any], bytes]:
    """Return the JSON part of the body, and the binary part behind it."""
    length = call.headers.get(HEADER_LENGTH)
    body, binary = call.body, b""
    if length is not None:
        if not length.isdigit() or len(length) > DIGITS or int(length) > len(body):
            raise RequestError(
                400, "bad_header", "Inference-Header-Content-Length is not within the body"
            )
        body, binary = body[: int(length)], body[int(length) :]
    content = parse_json(body)
    if not isinstance(content, dict):
        raise RequestError(400, "bad_json", "an object with inputs is expected")
    return content, binary


def _images(content: dict[str, Any], binary: bytes, most: int) -> NDArray[np.uint8]:
    inputs = content.get("inputs")
    if not isinstance(inputs, list) or len(inputs) != 1 or not isinstance(inputs[0], dict):
        raise RequestError(400, "bad_input", "there must be one input, with name, shape and data")
    tensor = inputs[0]
    if tensor.get("name") != INPUT["name"]:
        raise RequestError(400, "bad_input", f"the input is called {INPUT['name']}")
    kind = tensor.get("datatype")
    if not isinstance(kind, str) or kind not in DATATYPES:
        raise RequestError(400, "bad_input", f"datatype must be one of {', '.join(DATATYPES)}")
    count = _count(tensor.get("shape"))
    check_count(count, most)
    numbers = _numbers(tensor, binary, np.dtype(DATATYPES[kind]))
    if numbers.size != count * PIXELS:
        raise RequestError(
            400, "bad_input", f"the shape needs {count * PIXELS} values, not {numbers.size}"
        )
    levels = numbers if numbers.dtype == np.uint8 else to_levels(numbers)
    return levels.reshape(count, SIDE, SIDE)


def _count(shape: Any) -> int:
    """Return the number of images that a shape stands for."""
    if isinstance(shape, list) and all(type(each) is int and each > 0 for each in shape):
        if shape in ([SIDE, SIDE], [PIXELS]):
            return 1
        if shape[1:] in ([SIDE, SIDE], [PIXELS], [1, SIDE, SIDE], [SIDE, SIDE, 1]):
            return int(shape[0])
    raise RequestError(400, "bad_input", SHAPES)


def _numbers(tensor: dict[str, Any], binary: bytes, dtype: np.dtype[Any]) -> NDArray[Any]:
    size = _parameters(tensor).get("binary_data_size")
    if size is not None:
        if type(size) is not int or size != len(binary) or size % dtype.itemsize:
            raise RequestError(400, "bad_input", "binary_data_size is not that of the binary part")
        return np.frombuffer(binary, dtype)
    numbers = to_numbers(_flat(tensor.get("data")), "data")
    if dtype != np.uint8:
        return numbers
    with np.errstate(invalid="ignore"):
        octets = numbers.astype(np.uint8)
    if (octets != numbers).any():
        raise RequestError(400, "bad_input", "UINT8 data must be whole numbers in 0..255")
    return octets


def _flat(data: Any) -> list[Any]:
    """Return nested lists of equal lengths as one list, row after row."""
    if not isinstance(data, list):
        raise RequestError(400, "bad_input", "data must be a list of numbers")
    while data and isinstance(data[0], list):
        if any(not isinstance(row, list) or len(row) != len(data[0]) for row in data):
            raise RequestError(400, "bad_input", "data is ragged")
        data = list(chain.from_iterable(data))
    return data


def _parameters(tensor: dict[str, Any]) -> dict[str, Any]:
    parameters = tensor.get("parameters", {})
    if not isinstance(parameters, dict):
        raise RequestError(400, "bad_input", "parameters must be an object")
    return parameters


def _answer(content: dict[str, Any], answers: Answers, version: str) -> Answer:
    arrays: dict[str, NDArray[Any]] = {
        "probabilities": answers.probabilities,
        "digit": answers.probabilities.argmax(axis=1).astype(np.int64),
    }
    if answers.is_digit is not None:
        arrays["is_digit"] = answers.is_digit
    outputs, tails = [], []
    for name, as_binary in _wanted(content, arrays):
        array = arrays[name]
        output: dict[str, Any] = next(dict(each) for each in OUTPUTS if each["name"] == name)
        output["shape"] = list(array.shape)
        if as_binary:
            tails.append(array.tobytes())
            output["parameters"] = {"binary_data_size": len(tails[-1])}
        else:
            output["data"] = array.reshape(-1)
        outputs.append(output)
    head = {"model_name": MODEL, "model_version": number(version), "outputs": outputs}
    if isinstance(content.get("id"), str):
        head["id"] = content["id"]
    if not tails:
        return json_answer(head)
    start = orjson.dumps(head, option=orjson.OPT_SERIALIZE_NUMPY)
    length = (HEADER_LENGTH, b"%d" % len(start))
    return Answer(b"".join([start, *tails]), content_type=OCTETS, headers=[length])


def _wanted(content: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> list[tuple[str, bool]]:
    """Return the outputs that are asked for, and whether each is to be binary."""
    every = _parameters(content).get("binary_data_output") is True
    outputs = content.get("outputs")
    if not outputs:
        return [(name, every) for name in arrays]
    wanted: list[tuple[str, bool]] = []
    for output in outputs if isinstance(outputs, list) else [None]:
        name = output.get("name") if isinstance(output, dict) else None
        if not isinstance(output, dict) or name not in arrays:
            raise RequestError(
                400, "bad_output", f"outputs must be a list of these: {', '.join(arrays)}"
            )
        if any(name == known for known, _ in wanted):  # else a small request has a huge answer
            raise RequestError(400, "bad_output", f"{name} is asked for twice")
        parameters = _parameters(output)
        if parameters.get("classification"):
            raise RequestError(400, "bad_output", "the classification extension is not offered")
        wanted.append((name, parameters.get("binary_data", every) is True))
    return wanted
