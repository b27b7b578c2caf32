"""From what a model says to the answer: as it is kept, and as it is sent."""

from __future__ import annotations

import base64
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits.contract.prediction import PIXELS, PROBABILITIES, Prediction
from serving.bodies import Asked
from serving.call import Answer, json_answer
from serving.model import Answers

Images = NDArray[np.uint8]


def one_by_one(
    ids: Sequence[str],
    images: Images,
    answers: Answers,
    *,
    key: str | None,
    version: str,
    deployment: str,
    route: str,
) -> list[Prediction]:
    """Return the answers to images uint8 ``[N, 28, 28]`` as they are kept."""
    now = time.time()
    known = [None] * len(ids) if answers.is_digit is None else answers.is_digit.tolist()
    shares = answers.probabilities
    columns = zip(
        ids,
        _pieces(images.tobytes(), PIXELS),
        _pieces(shares.tobytes(), PROBABILITIES),
        shares.tolist(),
        shares.argmax(1).tolist(),
        known,
        strict=True,
    )
    return [
        Prediction(
            one,
            now,
            key,
            pixels,
            kept,
            digit,
            each[digit],
            is_digit,
            version,
            deployment,
            route,
        )
        for one, pixels, kept, each, digit, is_digit in columns
    ]


def in_json(
    predictions: Sequence[Prediction], answers: Answers, stored: str, *, with_pixels: bool = False
) -> list[dict[str, Any]]:
    """Return an object for each prediction, ready for JSON."""
    rows: list[dict[str, Any]] = [
        {
            "id": prediction.id,
            "digit": prediction.digit,
            "confidence": prediction.confidence,
            "probabilities": shares,
            "is_digit": prediction.is_digit,
            "version": prediction.version,
            "stored": stored,
        }
        for prediction, shares in zip(predictions, answers.probabilities, strict=True)
    ]
    if with_pixels:
        for row, prediction in zip(rows, predictions, strict=True):
            row["pixels"] = base64.b64encode(prediction.pixels or b"").decode()
    return rows


def answer_of(asked: Asked, predictions: list[dict[str, Any]]) -> Answer:
    """Answer with an object for one image, and with a list of them for many."""
    if asked.many:
        return json_answer({"predictions": predictions, "version": predictions[0]["version"]})
    return json_answer(predictions[0])


def _pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]
