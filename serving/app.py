"""The service put together: ``create_app`` is a factory for any ASGI server."""

from __future__ import annotations

from digits.contract import switches

switches.apply()  # before ONNX Runtime is imported

import asyncio  # noqa: E402
import contextlib  # noqa: E402
import threading  # noqa: E402
from collections.abc import AsyncIterator, Mapping  # noqa: E402
from typing import TYPE_CHECKING, Any  # noqa: E402

from fastapi import FastAPI  # noqa: E402

from serving import api, logs  # noqa: E402
from serving.batching import Batcher  # noqa: E402
from serving.call import App  # noqa: E402
from serving.current import Current  # noqa: E402
from serving.door import Door  # noqa: E402
from serving.drift import Drift  # noqa: E402
from serving.errors import RequestError  # noqa: E402
from serving.explain import Explain  # noqa: E402
from serving.guard import Guard  # noqa: E402
from serving.labelling import Labelling  # noqa: E402
from serving.metrics import Metrics  # noqa: E402
from serving.open_inference import Infer  # noqa: E402
from serving.predict import Predictor  # noqa: E402
from serving.sagemaker import Invocations  # noqa: E402
from serving.samples import Samples  # noqa: E402
from serving.settings import Settings, api_keys  # noqa: E402
from serving.threads import Threads  # noqa: E402
from serving.traces import Traces  # noqa: E402
from serving.visit import InFlight  # noqa: E402

if TYPE_CHECKING:
    from serving.recorder import Recorder

TALLY_SECONDS = 1.0  # between two looks at what other parts have counted


class Service:
    """The parts of one worker, and their life from the start to the last answer."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.in_flight = InFlight()
        self.current = Current(settings)
        self.recorder = _recorder(settings)
        self.labelling = Labelling(settings.traffic.url)
        self.drift = Drift(settings.traffic.url)
        self.traces = _traces(settings)
        self.threads = Threads(settings.limits.request_seconds)
        self.batcher = Batcher(settings.batching, self.in_flight.in_all)
        self.predictor = Predictor(
            self.current,
            batcher=self.batcher,
            recorder=self.recorder,
            metrics=self.metrics,
            threads=self.threads,
            limits=settings.limits,
            deployment=settings.deployment,
        )
        self.ready = False
        self._tallying = threading.Lock()

    @contextlib.asynccontextmanager
    async def life(self, _: FastAPI) -> AsyncIterator[None]:
        """Load and try the model before the first request; write down the rest after the last."""
        if self.recorder is not None:
            self.recorder.start()  # opens its store while the model is loaded
        await asyncio.to_thread(self.current.start)
        self.ready = True
        counting = asyncio.create_task(self._count())
        telling = asyncio.create_task(self.drift.keep_told(self.metrics))
        logs.event("ready", version=self.current.champion.version)
        try:
            yield
        finally:
            self.ready = False
            counting.cancel()
            telling.cancel()
            self.threads.close()
            await asyncio.to_thread(self.current.stop)
            self.labelling.close()
            self.drift.close()
            if self.recorder is not None:
                await asyncio.to_thread(self.recorder.close, self.settings.limits.drain_seconds)
            if self.traces is not None:
                await asyncio.to_thread(self.traces.close)
            logs.event("stopped")

    def parts(self) -> api.Parts:
        """Return what the routes call."""
        return api.Parts(
            predict=self.predictor,
            explain=Explain(self.predictor, self.threads),
            infer=Infer(self.predictor),
            invocations=Invocations(self.predictor),
            feedback=self._feedback,
            labelling=self.labelling,
            drift=self.drift,
            samples=Samples(self.recorder, self.labelling, self.settings.features),
            model=self._describe,
            version=self._version,
            metrics=self._metrics,
        )

    def _version(self) -> str:
        if not self.ready:
            raise RequestError(503, "not_ready", "no model is ready yet", {"Retry-After": "1"})
        return self.current.champion.version

    def _describe(self) -> Mapping[str, Any]:
        self._version()
        challenger = self.current.challenger
        return {
            **self.current.champion.describe(),
            "challenger": None if challenger is None else challenger.version,
            "deployment": self.settings.deployment,
            "images_kept": self.recorder is not None and self.settings.traffic.images,
        }

    async def _feedback(self, prediction: str, label: int, origin: str) -> None:
        if self.recorder is None:
            raise RequestError(409, "nothing_kept", "this service keeps no predictions")
        from serving.feedback import feedback

        await feedback(self.recorder, prediction, label, origin=origin)

    def _metrics(self) -> bytes:
        self._take_over()
        return self.metrics.text()

    def _take_over(self) -> None:
        with self._tallying:  # a scrape and the count of each second must not count the same twice
            self._tally()

    def _tally(self) -> None:
        current, recorder = self.current, self.recorder
        compared = current.comparison
        tallies = {
            "digits_model_swaps": current.swapped,
            "digits_model_refused": current.refused,
            "digits_challenger_answers": compared.agreed + compared.disagreed,
            "digits_challenger_agreed": compared.agreed,
            "digits_challenger_skipped": compared.skipped,
            "digits_challenger_seconds": compared.challenger_seconds,
            "digits_champion_seconds": compared.champion_seconds,
        }
        if recorder is not None:
            tallies |= {
                "digits_traffic_written": recorder.written,
                "digits_traffic_dropped": recorder.dropped,
                "digits_traffic_failures": recorder.failures,
            }
        self.metrics.take_over(tallies, recorder.depth if recorder is not None else 0)

    async def _count(self) -> None:
        while True:
            await asyncio.sleep(TALLY_SECONDS)
            self._take_over()


def create_app(settings: Settings | None = None) -> App:
    """Return the service as an ASGI application.

    Args:
        settings: read from the file that ``DIGITS_SERVING_SETTINGS`` names where not given.

    Raises:
        ConfigError: there are no settings, or one of them is wrong.
    """
    settings = settings or Settings.named_by_environment()
    logs.to_stderr(settings.log.level)
    service = Service(settings)
    parts = service.parts()
    return Door(
        api.build(parts, service.life),
        parts.hot(),
        limits=settings.limits,
        guard=Guard(api_keys(), rate=settings.limits.rate, burst=settings.limits.burst),
        in_flight=service.in_flight,
        together=service.batcher.together,
        metrics=service.metrics,
        journal=logs.Journal(settings.log.requests),
        traces=service.traces,
    )


def _traces(settings: Settings) -> Traces | None:
    return Traces(settings.otlp, deployment=settings.deployment) if settings.otlp else None


def _recorder(settings: Settings) -> Recorder | None:
    if settings.traffic.url is None:
        return None
    from serving.recorder import Recorder

    return Recorder(settings.traffic, deployment=settings.deployment)
