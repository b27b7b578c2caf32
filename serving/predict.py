"""``/v1/predict``: from a body to the answer; also what every other predicting route stands on."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from digits.contract.prediction import Prediction, new_ids
from serving.answering import answer_of, in_json, one_by_one
from serving.batching import Batcher
from serving.bodies import Asked, key_of
from serving.call import Answer, Call, truth
from serving.current import Current
from serving.errors import RequestError
from serving.metrics import Metrics
from serving.model import Answers
from serving.multipart import read_form
from serving.pictures import BAD_IMAGE, read_pictures
from serving.reading import FORM, OCTETS, read
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
            RequestError: see :mod:`serving.reading` and :mod:`serving.multipart`.
        """
        kind = call.content_type
        limits = self.limits
        preprocess = self.models.champion.preprocess
        if kind == FORM:
            files, key = await read_form(call, limits)
            images = await self.aside(call, lambda limits: read_pictures(files, limits, preprocess))
            asked = Asked(images, len(files) > 1, key, {})
        elif kind == OCTETS:  # are the images already
            asked = read(call, limits, preprocess)
        else:
            asked = await self.aside(call, lambda limits: read(call, limits, preprocess))
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
        each = one_by_one(
            ids,
            images,
            answers,
            key=key,
            version=model.version,
            deployment=self._deployment,
            route=route,
        )
        not_digits = [prediction.is_digit for prediction in each].count(False)
        self._metrics.predictions(model.version, route, len(images), not_digits)
        if not store or self._recorder is None:
            return answers, each, "off"
        kept = self._recorder.put_many(each)
        return answers, each, "queued" if kept == len(each) else "dropped"

    async def predictions(
        self, asked: Asked, *, route: str, store: bool = True, with_pixels: bool = False
    ) -> list[dict[str, Any]]:
        """Answer what was asked, each image with an object ready for JSON."""
        answers, predictions, stored = await self.answers(
            asked.images, asked.key, route=route, store=store
        )
        return in_json(predictions, answers, stored, with_pixels=with_pixels)
