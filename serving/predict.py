"""``/v1/predict``: from a body to the answer; also what every other predicting route stands on."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from digits.contract.prediction import Prediction, new_id
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

    def put(self, prediction: Prediction) -> bool:
        """Queue a prediction to be written; False: there is no room."""


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
        if asked.many:
            return json_answer({"predictions": predictions, "version": predictions[0]["version"]})
        return json_answer(predictions[0])

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
            files, _ = await read_form(call, limits)
            images = await self.aside(call, lambda limits: read_pictures(files, limits, preprocess))
            asked = Asked(images, len(files) > 1, None, {})
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
        self, images: Images, key: str | None, *, route: str, store: bool = True
    ) -> tuple[Answers, str, list[str], str]:
        """Answer images uint8 ``[N, 28, 28]``, and have them kept.

        Returns:
            The answers, the version that gave them, an id for each image, and what becomes of them:
            ``queued``, ``dropped`` (all or some of them) or ``off``.
        """
        ids = [new_id() for _ in range(len(images))]
        model, shadow = self.models.choose(key or ids[0])
        started = time.perf_counter()
        if len(images) > INLINE_IMAGES:
            answers = await self._threads.run(lambda: model.predict(images))
        else:
            answers = await self._batcher.predict(model, images)
        if shadow is not None:
            self.models.comparison.put(shadow, images, answers, time.perf_counter() - started)
        is_digit = answers.is_digit
        not_digits = 0 if is_digit is None else len(is_digit) - int(is_digit.sum())
        self._metrics.predictions(model.version, route, len(images), not_digits)
        stored = "off"
        if store and self._recorder is not None:
            stored = self._keep(self._recorder, ids, images, answers, key, model.version, route)
        return answers, model.version, ids, stored

    def _keep(
        self,
        recorder: Recorder,
        ids: list[str],
        images: Images,
        answers: Answers,
        key: str | None,
        version: str,
        route: str,
    ) -> str:
        now = time.time()
        stored = "queued"
        for row, (image, shares) in enumerate(zip(images, answers.probabilities, strict=True)):
            digit = int(shares.argmax())
            kept = recorder.put(
                Prediction(
                    id=ids[row],
                    time=now,
                    key=key,
                    pixels=image.tobytes(),
                    probabilities=shares.tobytes(),
                    digit=digit,
                    confidence=float(shares[digit]),
                    is_digit=None if answers.is_digit is None else bool(answers.is_digit[row]),
                    version=version,
                    deployment=self._deployment,
                    source=route,
                )
            )
            if not kept:
                stored = "dropped"
        return stored

    async def predictions(
        self, asked: Asked, *, route: str, store: bool = True, with_pixels: bool = False
    ) -> list[dict[str, Any]]:
        """Answer what was asked, each image with an object ready for JSON."""
        images = asked.images
        answers, version, ids, stored = await self.answers(
            images, asked.key, route=route, store=store
        )
        rows = []
        for row, shares in enumerate(answers.probabilities):
            digit = int(shares.argmax())
            prediction = {
                "id": ids[row],
                "digit": digit,
                "confidence": float(shares[digit]),
                "probabilities": shares,
                "is_digit": None if answers.is_digit is None else bool(answers.is_digit[row]),
                "version": version,
                "stored": stored,
            }
            if with_pixels:
                prediction["pixels"] = base64.b64encode(images[row].tobytes()).decode()
            rows.append(prediction)
        return rows
