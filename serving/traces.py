"""One OpenTelemetry span for each request, sent to a collector where the settings name one."""

from __future__ import annotations

import time

from digits.errors import MissingExtraError

SERVICE = "digits-serving"


class Traces:
    """Sends spans in batches, from a thread of the library's.

    A span continues the trace that the request's ``traceparent`` header names (W3C Trace Context).

    Args:
        endpoint: of the collector's OTLP over HTTP, for example ``http://127.0.0.1:4318``.
        deployment: noted with each span.

    Raises:
        MissingExtraError: the exporter is not installed.
    """

    def __init__(self, endpoint: str, *, deployment: str) -> None:
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
            from opentelemetry.trace import SpanKind, Status, StatusCode
            from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
        except ModuleNotFoundError as error:
            raise MissingExtraError(
                "trace", error.name or "opentelemetry", without="serving.otlp=null"
            ) from error
        named = {"service.name": SERVICE, "deployment.id": deployment}
        self._provider = TracerProvider(resource=Resource.create(named), shutdown_on_exit=False)
        exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer(__name__)
        self._propagator = TraceContextTextMapPropagator()
        self._kind = SpanKind.SERVER
        self._failed = Status(StatusCode.ERROR)

    def request(
        self,
        method: str,
        route: str,
        status: int,
        seconds: float,
        request_id: str,
        headers: dict[bytes, bytes],
    ) -> None:
        """Take note of a request that has just ended."""
        names = ("traceparent", "tracestate")
        carrier = {name: headers.get(name.encode(), b"").decode("latin-1") for name in names}
        end = time.time_ns()
        span = self._tracer.start_span(
            f"{method} {route}",
            context=self._propagator.extract(carrier),
            kind=self._kind,
            start_time=end - int(seconds * 1e9),
            attributes={
                "http.request.method": method,
                "http.route": route,
                "http.response.status_code": status,
                "digits.request_id": request_id,
            },
        )
        if status >= 500:
            span.set_status(self._failed)
        span.end(end)

    def close(self) -> None:
        """Send what waits."""
        self._provider.shutdown()
