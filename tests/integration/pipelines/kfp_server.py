"""A stand-in for the v2beta1 API of Kubeflow Pipelines: the routes that a submission uses."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlparse

API = "/apis/v2beta1"
WHEN = "2026-01-31T12:00:0{}Z"


class KubeflowServer(ThreadingHTTPServer):
    """What it is told to answer, and what it has been asked.

    Attributes:
        token: the only one that is accepted; None: any, or none.
        looks: the state of the run and of its steps, one for each look; the last one stays.
        away: looks that are answered with an error of the server first.
        broken: what health answers instead.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.token: str | None = None
        self.looks: list[tuple[str, dict[str, str]]] = [("SUCCEEDED", {})]
        self.away = 0
        self.broken: str | None = None
        self.error: str | None = None
        self.experiments: list[dict[str, Any]] = []
        self.runs: list[dict[str, Any]] = []
        self.recurring: list[dict[str, Any]] = []
        self.asked: list[tuple[str, str]] = []

    @property
    def host(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def state(self) -> dict[str, Any]:
        state, steps = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        details = [
            {
                "display_name": name,
                "state": value,
                "start_time": WHEN.format(1),
                "end_time": WHEN.format(4),
            }
            for name, value in steps.items()
        ]
        told = {**self.runs[0], "state": state, "run_details": {"task_details": details}}
        return {**told, "error": {"code": 2, "message": self.error}} if self.error else told


class Handler(BaseHTTPRequestHandler):
    server: KubeflowServer

    def log_message(self, *args: object) -> None:
        """Say nothing."""

    def answer(self, content: Any, status: int = 200) -> None:
        body = content.encode() if isinstance(content, str) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def body(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(
            self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}"
        )
        return found

    def refused(self) -> bool:
        self.server.asked.append((self.command, self.path))
        wanted = self.server.token
        if wanted is None or self.headers.get("authorization") == f"Bearer {wanted}":
            return False
        self.answer({"error": "invalid token"}, 401)
        return True

    def do_GET(self) -> None:
        if self.refused():
            return
        url, server = urlparse(self.path), self.server
        match url.path.removeprefix(API).split("/")[1:]:
            case ["healthz"]:
                self.answer(server.broken or {"multi_user": False})
            case ["experiments"]:
                wanted = parse_qs(url.query).get("filter", [""])[0]
                found = [each for each in server.experiments if each["display_name"] in wanted]
                self.answer({"experiments": found, "total_size": len(found)})
            case ["runs", _]:
                if server.away:
                    server.away -= 1
                    self.answer({"error": "no upstream"}, 503)
                else:
                    self.answer(server.state())
            case ["recurringruns"]:
                self.answer({"recurringRuns": server.recurring})
            case _:
                self.answer({"error": f"no route {url.path}"}, 404)

    def do_POST(self) -> None:
        content = self.body()
        if self.refused():
            return
        server = self.server
        match urlparse(self.path).path.removeprefix(API).split("/")[1:]:
            case ["experiments"]:
                server.experiments.append({**content, "experiment_id": "e1"})
                self.answer(server.experiments[-1])
            case ["runs"]:
                server.runs.append({**content, "run_id": "r1", "state": "PENDING"})
                self.answer(server.runs[-1])
            case ["recurringruns"]:
                number = f"j{len(server.asked)}"
                server.recurring.append({**content, "recurring_run_id": number})
                self.answer(server.recurring[-1])
            case _:
                self.answer({"error": "no route"}, 404)

    def do_DELETE(self) -> None:
        if self.refused():
            return
        number = self.path.rpartition("/")[2]
        self.server.recurring[:] = [
            each for each in self.server.recurring if each["recurring_run_id"] != number
        ]
        self.answer({})


@contextmanager
def kubeflow() -> Iterator[KubeflowServer]:
    server = KubeflowServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
