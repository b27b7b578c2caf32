"""Amazon SageMaker's contract for containers: ``GET /ping`` and ``POST /invocations``."""

from __future__ import annotations

from itertools import chain

import numpy as np
from numpy.typing import NDArray

from serving.answering import answer_of
from serving.bodies import (
    PIXELS,
    Asked,
    check_count,
    key_of,
    parse_json,
    read_pixels,
    to_levels,
    to_numbers,
)
from serving.call import Answer, Call
from serving.errors import RequestError
from serving.predict import Predictor

ROUTE = "/invocations"
CSV = "text/csv"


class Invocations:
    """Answers what ``/v1/predict`` does, and CSV with one image of 784 numbers a line."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    async def __call__(self, call: Call) -> Answer:
        """Serve ``POST /invocations``; with ``Accept: text/csv`` a line of digit and confidence."""
        asked = await self._read(call)
        predictions = await self._predictor.predictions(asked, route=ROUTE)
        if call.headers.get(b"accept", b"").partition(b";")[0].strip() == CSV.encode():
            lines = [f"{each['digit']},{each['confidence']:.6f}\n" for each in predictions]
            return Answer("".join(lines).encode(), content_type=CSV.encode())
        return answer_of(asked, predictions)

    async def _read(self, call: Call) -> Asked:
        kind = call.content_type
        if kind == CSV:
            images = await self._predictor.aside(
                call, lambda limits: _read_csv(call.body, limits.batch)
            )
            return Asked(images, len(images) > 1, key_of(call), {})
        if kind == "application/json" and b'"instances"' in call.body:
            images = await self._predictor.aside(
                call, lambda limits: _read_instances(call.body, limits.batch)
            )
            return Asked(images, True, key_of(call), {})
        return await self._predictor.read(call)


def _read_instances(body: bytes, most: int) -> NDArray[np.uint8]:
    """Read ``{"instances": [...]}`` as uint8 ``[N, 28, 28]``."""
    content = parse_json(body)
    if not isinstance(content, dict) or set(content) != {"instances"}:
        raise RequestError(422, "unknown_field", "beside instances there may be nothing")
    return read_pixels(content["instances"], most)[0]


def _read_csv(body: bytes, most: int) -> NDArray[np.uint8]:
    """Read one image a line, 784 numbers with commas between them, as uint8 ``[N, 28, 28]``."""
    lines = body.splitlines()
    if not lines:
        raise RequestError(400, "empty_body", "the body is empty")
    check_count(len(lines), most)
    rows = [line.split(b",") for line in lines]
    if any(len(row) != PIXELS for row in rows):
        raise RequestError(422, "bad_shape", f"each line must have {PIXELS} numbers")
    try:
        numbers = to_numbers(map(float, chain.from_iterable(rows)), "pixels")
    except ValueError as error:
        raise RequestError(422, "bad_pixels", "pixels must be numbers and nothing else") from error
    return to_levels(numbers).reshape(-1, 28, 28)
