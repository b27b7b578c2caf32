"""``/v1/predict``: from a body to the answer; also what every other predicting route stands on."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from digits.contract.prediction import PIXELS, PROBABILITIES, Prediction, new_ids
from serving.batching import Batcher
from serving.bodies import (
    KINDS,
    Asked,
    key_of,
    parse_json,
    read_json,
    read_octets,
)
from serving.call import Answer, Call, json_answer, truth
from serving.current import Current
from serving.errors import RequestError
from serving.metrics import Metrics
from serving.model import Answers
from serving.multipart import read_form
from serving.pictures import BAD_IMAGE, read_picture, read_pictures
from serving.settings import Limits
from serving.threads import Threads

T = TypeVar("T")

ROUTE = "/v1/predict"
INLINE_IMAGES = 64  # more are answered in a thread, while the loop serves others
INLINE_BYTES = 65_536  # the same for a larger body
INLINE_PIXELS = 100_000  # and for a larger picture: it may be a very small file

Images = NDArray[np.uint8]


class Recorder(Protocol):
    """What keeps predictions (see :mod:`serving.recorder`)."""

    def put_many(self, rows: Sequence[Prediction]) -> int:
        """Queue predictions to be written, and return for how many there was room."""


class Predictor:
    """Answers images, counts them, and has them kept.

    Args:
        models: those in use.
        batcher: gathers images of several requests.
        recorder: keeps predictions; None: nothing is kept.
        metrics: counts images.
        threads: for what would hold up the loop.
        limits: of one request.
        deployment: kept with each prediction.
    """

    def __init__(
        self,
        models: Current,
        *,
        batcher: Batcher,
        recorder: Recorder | None,
        metrics: Metrics,
        threads: Threads,
        limits: Limits,
        deployment: str,
    ) -> None:
        self.models = models
        self.limits = limits
        pixels = min(limits.image_pixels, INLINE_PIXELS)
        self._small = limits.model_copy(update={"image_pixels": pixels})
        self._batcher = batcher
        self._recorder = recorder
        self._metrics = metrics
        self._threads = threads
        self._deployment = deployment

    async def __call__(self, call: Call) -> Answer:
        """Serve ``POST /v1/predict``."""
        parameters = call.parameters("pixels", "store")
        asked = await self.read(call)
        predictions = await self.predictions(
            asked,
            route=ROUTE,
            store=truth(parameters, "store", default=True),
            with_pixels=truth(parameters, "pixels", default=False),
        )
        return answer_of(asked, predictions)

    async def read(self, call: Call) -> Asked:
        """Read a body by its content type.

        Raises:
            RequestError: of no such type, or see :mod:`serving.bodies`.
        """
        kind = call.content_type
        limits = self.limits
        preprocess = self.models.champion.preprocess
        if kind in ("application/json", ""):
            asked = await self.aside(
                call, lambda limits: read_json(parse_json(call.body), limits, preprocess)
            )
        elif kind == "application/octet-stream":
            images = read_octets(call.body, limits.batch)
            asked = Asked(images, len(images) > 1, None, {})
        elif kind.startswith("image/"):
            if not call.body:
                raise RequestError(400, "empty_body", "the body is empty")
            images = await self.aside(
                call, lambda limits: read_picture(call.body, limits, preprocess)
            )
            asked = Asked(images, False, None, {})
        elif kind == "multipart/form-data":
            files, key = await read_form(call, limits)
            images = await self.aside(call, lambda limits: read_pictures(files, limits, preprocess))
            asked = Asked(images, len(files) > 1, key, {})
        else:
            raise RequestError(415, "unknown_type", f"send {KINDS}, not {kind[:100]!r}")
        if asked.key is None:
            asked.key = key_of(call)
        return asked

    async def aside(self, call: Call, read: Callable[[Limits], T]) -> T:
        """Read a small body with small pictures at once, and any other in a thread."""
        if len(call.body) <= INLINE_BYTES:
            try:
                return read(self._small)
            except RequestError as refusal:
                if refusal.code != BAD_IMAGE:
                    raise
        return await self._threads.run(lambda: read(self.limits))

    async def answers(
        self,
        images: Images,
        key: str | None,
        *,
        route: str,
        store: bool = True,
        champion: bool = False,
    ) -> tuple[Answers, list[Prediction], str]:
        """Answer images uint8 ``[N, 28, 28]``, and have them kept; by the ``champion`` if so asked.

        Returns:
            The answers, the same one by one as they are kept, and what becomes of them:
            ``queued``, ``dropped`` (all or some of them) or ``off``.
        """
        ids = new_ids(len(images))
        model, shadow = self.models.choose(None if champion else key or ids[0])
        started = time.perf_counter()
        if len(images) > INLINE_IMAGES:
            answers = await self._threads.run(lambda: model.predict(images))
        else:
            answers = await self._batcher.predict(model, images)
        if shadow is not None:
            self.models.comparison.put(shadow, images, answers, time.perf_counter() - started)
        each = self._one_by_one(ids, images, answers, key, model.version, route)
        not_digits = [prediction.is_digit for prediction in each].count(False)
        self._metrics.predictions(model.version, route, len(images), not_digits)
        if not store or self._recorder is None:
            return answers, each, "off"
        kept = self._recorder.put_many(each)
        return answers, each, "queued" if kept == len(each) else "dropped"

    def _one_by_one(
        self,
        ids: list[str],
        images: Images,
        answers: Answers,
        key: str | None,
        version: str,
        route: str,
    ) -> list[Prediction]:
        now, deployment = time.time(), self._deployment
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

    async def predictions(
        self, asked: Asked, *, route: str, store: bool = True, with_pixels: bool = False
    ) -> list[dict[str, Any]]:
        """Answer what was asked, each image with an object ready for JSON."""
        answers, predictions, stored = await self.answers(
            asked.images, asked.key, route=route, store=store
        )
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
            for row, image in zip(rows, asked.images, strict=True):
                row["pixels"] = base64.b64encode(image.tobytes()).decode()
        return rows


def answer_of(asked: Asked, predictions: list[dict[str, Any]]) -> Answer:
    """Answer with an object for one image, and with a list of them for many."""
    if asked.many:
        return json_answer({"predictions": predictions, "version": predictions[0]["version"]})
    return json_answer(predictions[0])


def _pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]
