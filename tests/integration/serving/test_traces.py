"""Spans as a collector receives them."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from serving.settings import Settings
from tests.integration.serving.conftest import running

TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture
def collector():
    """Receives OTLP over HTTP; gives its address and the spans that came."""
    trace_service = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
    spans = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            import gzip

            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            request = trace_service.ExportTraceServiceRequest.FromString(body)
            for resource in request.resource_spans:
                for scope in resource.scope_spans:
                    spans.extend(scope.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", spans
    server.shutdown()
    server.server_close()


def test_each_request_is_a_span_of_its_callers_trace(bundle, collector):
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
    address, spans = collector
    with running(Settings(pointer=bundle, port=0, otlp=address)) as client:
        parent = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
        client.post("/v1/predict", b"\7" * 784, "application/octet-stream", headers=parent)
        client.get("/nothing")
    by_name = {span.name: span for span in spans}
    span = by_name["POST /v1/predict"]
    assert span.trace_id.hex() == TRACE
    values = {each.key: each.value for each in span.attributes}
    assert values["http.response.status_code"].int_value == 200
    assert span.end_time_unix_nano > span.start_time_unix_nano
    assert "GET other" in by_name
