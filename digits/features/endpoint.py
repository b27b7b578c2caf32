"""What is known of a sample, over HTTP on this machine: for the service, which loads no Feast."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

import numpy as np

from digits.errors import ConfigError, DigitsError, Finding
from digits.features import online
from digits.features.store import FeatureStore

PREFIX = "/samples/"
FLOATS = frozenset({"probabilities", "values"})
LEFT_OUT = frozenset({"pixels"})  # whoever asks for a prediction has them


@contextmanager
def answering(store: FeatureStore, host: str, port: int) -> Iterator[str]:
    """Answer ``GET /samples/<id>`` with JSON, in threads of its own; give the address.

    Args:
        store: opened for this alone.
        host, port: where to listen; port 0: any that is free.

    Raises:
        ConfigError: the address cannot be had.
        FeatureError: the online store does not answer.
    """
    store.feast  # noqa: B018 - takes seconds: before the first question, which has less patience
    turn = threading.Lock()  # Feast's connection is one

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not self.path.startswith(PREFIX):
                self._send(HTTPStatus.NOT_FOUND, {"error": f"ask for {PREFIX}<id>"})
                return
            try:
                with turn:
                    known = online.look_up(store, unquote(self.path.removeprefix(PREFIX)))
            except DigitsError as error:
                self._send(HTTPStatus.SERVICE_UNAVAILABLE, {"error": str(error)})
                return
            self._send(HTTPStatus.OK, told(known))

        def _send(self, status: HTTPStatus, content: Any) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing: the service logs its requests."""

    try:
        server = ThreadingHTTPServer((host, port), Handler)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(
            [Finding("endpoint", f"{host}:{port} cannot be had: {reason}")]
        ) from error
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="endpoint", daemon=True)
    thread.start()
    try:
        yield f"http://{host}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def told(known: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return what is known of a sample, ready for JSON."""
    return {
        view: {
            name: np.frombuffer(value, "<f4").tolist() if name in FLOATS else value
            for name, value in values.items()
            if name not in LEFT_OUT
        }
        for view, values in known.items()
        if not LEFT_OUT.issuperset(values)
    }
