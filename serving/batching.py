"""Answering requests that come together in one run of the model: for models that gain by it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from serving.model import Answers, ServedModel
from serving.settings import Batching

Images = NDArray[np.uint8]
Waiting = tuple[Images, "asyncio.Future[Answers]"]


@dataclass(slots=True)
class _Batch:
    """Requests that wait for one model."""

    waiting: list[Waiting] = field(default_factory=list)
    images: int = 0
    timer: asyncio.Handle | None = None


class Batcher:
    """Gathers the images of several requests; of use to one event loop.

    A batch is run when it is full, when its first request has waited long enough, or at once where
    no other request is at work that it could wait for. A request is never split, and waits for
    those of its own model only.

    Args:
        settings: how many, how long.
        at_work: tells how many requests are at work.
    """

    def __init__(self, settings: Batching, at_work: Callable[[], int]) -> None:
        self._at_work = at_work
        self._most = settings.max_batch
        self._wait = settings.max_wait_ms / 1000
        self._batches: dict[ServedModel, _Batch] = {}

    async def predict(self, model: ServedModel, images: Images) -> Answers:
        """Answer images uint8 ``[N, 28, 28]``, in whatever batch."""
        # Where batching is off the first is always so.
        if len(images) >= self._most or (self._at_work() <= 1 and not self._batches):
            return model.predict(images)
        batch = self._batches.setdefault(model, _Batch())
        if batch.images + len(images) > self._most:
            self._run(model)
            batch = self._batches.setdefault(model, _Batch())
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answers] = loop.create_future()
        batch.waiting.append((images, future))
        batch.images += len(images)
        if batch.images >= self._most:
            self._run(model)
        elif batch.timer is None:
            batch.timer = (
                loop.call_later(self._wait, self._run, model)
                if self._wait
                else loop.call_soon(self._run, model)
            )
        return await future

    def together(self) -> None:
        """Answer those that have come together, unless they are to wait for others."""
        if not self._wait:
            for model in list(self._batches):
                self._run(model)

    def _run(self, model: ServedModel) -> None:
        """Answer all that wait for ``model``, each with its own rows."""
        batch = self._batches.pop(model)
        if batch.timer is not None:
            batch.timer.cancel()
        try:
            answers = model.predict(np.concatenate([images for images, _ in batch.waiting]))
        except Exception as error:
            for _, future in batch.waiting:
                if not future.done():
                    future.set_exception(error)
            return
        start = 0
        for images, future in batch.waiting:
            end = start + len(images)
            if not future.done():  # its client may be gone
                future.set_result(answers[start:end])
            start = end
