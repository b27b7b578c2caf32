"""AWS Lambda with a data plane: moto's server behind, functions that really run in front.

A proxy hands everything on to moto and takes note of what functions are made of; an invoke goes to
AWS's own emulator, started with the code and the variables of the version that the alias names.
"""

from __future__ import annotations

import http.client
import json
import random
import re
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3

from digits.deployment.engine import Engine
from scripts import emulated_function
from scripts.emulated_function import Emulated

FUNCTIONS = "/2015-03-31/functions"
HOP = frozenset({"connection", "transfer-encoding", "content-length", "server", "date"})


class Functions:
    """What the proxy knows.

    Attributes:
        url: of the proxy: all of AWS.
        faults: "<method> <end of the path>" -> (status, code, message), instead of moto's answer.
        asked: how often each version has answered.
    """

    def __init__(self, moto: str, folder: Path) -> None:
        self.moto, self.folder = moto, folder
        self.url = ""
        self.faults: dict[str, tuple[int, str, str]] = {}
        self.asked: dict[str, int] = {}
        self.latest: dict[str, dict[str, str]] = {}  # name -> code
        self.versions: dict[tuple[str, str], dict[str, str]] = {}
        self._running: dict[tuple[str, str], Emulated] = {}
        self._stack = ExitStack()
        self._chance = random.Random(0)
        self._one = threading.Lock()

    def close(self) -> None:
        """End everything that runs."""
        self._stack.close()
        self._running.clear()

    def note(self, method: str, path: str, body: bytes, answer: bytes) -> None:
        """Take note of what a function is made of."""
        name = re.sub(rf"^{FUNCTIONS}/?", "", path).split("/")[0]
        if method == "POST" and path.rstrip("/") == FUNCTIONS:
            content = json.loads(body)
            self.latest[content["FunctionName"]] = self._copied(content["Code"])
        elif method == "PUT" and path.endswith("/code"):
            self.latest[name] = self._copied(json.loads(body))
        elif method == "POST" and path.endswith("/versions"):
            self.versions[name, json.loads(answer)["Version"]] = self.latest[name]

    def _copied(self, code: dict[str, str]) -> dict[str, str]:
        """Copy a zip file, as Lambda does: the one at S3 may be removed."""
        if "ImageUri" in code:
            return code
        s3 = boto3.client("s3", endpoint_url=self.moto)
        found = s3.get_object(Bucket=code["S3Bucket"], Key=code["S3Key"])
        file = self.folder / code["S3Key"]
        file.write_bytes(found["Body"].read())
        return {"file": str(file)}

    def invoke(self, name: str, alias: str, payload: bytes) -> bytes:
        """Have a version that the alias names answer."""
        client = boto3.client("lambda", endpoint_url=self.moto)
        found = client.get_alias(FunctionName=name, Name=alias)
        number, left = found["FunctionVersion"], self._chance.random()
        for other, share in (
            found.get("RoutingConfig", {}).get("AdditionalVersionWeights", {}).items()
        ):
            number, left = (other, 2.0) if left < share else (number, left - share)
        self.asked[number] = self.asked.get(number, 0) + 1
        with self._one:
            if (name, number) not in self._running:
                self._running[name, number] = self._start(client, name, number)
            return self._running[name, number].first(payload)

    def _start(self, client: Any, name: str, number: str) -> Emulated:
        set_so = client.get_function_configuration(FunctionName=name, Qualifier=number)
        variables, code = set_so["Environment"]["Variables"], self.versions[name, number]
        if "ImageUri" in code:
            engine, uri = Engine.find(), code["ImageUri"]
            self._stack.callback(engine.run, "rmi", "--force", uri)  # was pulled
            return self._stack.enter_context(
                emulated_function.image(engine.program, uri, variables)
            )
        assert set_so["Handler"] == emulated_function.HANDLER
        folder = self.folder / f"{name}-{number}"
        emulated_function.unzip(Path(code["file"]), folder)
        log = self.folder / f"{name}-{number}.log"
        return self._stack.enter_context(emulated_function.managed(folder, variables, log=log))


@contextmanager
def running(moto: str, folder: Path) -> Iterator[Functions]:
    """Start the proxy in a thread."""
    functions = Functions(moto, folder)

    class Handler(_Proxy):
        known = functions

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        functions.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield functions
        finally:
            server.shutdown()
            functions.close()


class _Proxy(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    known: Functions

    def log_message(self, *_: object) -> None:
        pass

    def _any(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        path = urlsplit(self.path).path
        fault = next(
            (
                each
                for place, each in self.known.faults.items()
                if self.command == place.split()[0] and path.endswith(place.split()[1])
            ),
            None,
        )
        if fault is not None:
            status, code, told = fault
            headers = {"x-amzn-errortype": code, "content-type": "application/json"}
            self._send(status, headers, json.dumps({"Message": told, "message": told}).encode())
        elif path.startswith(FUNCTIONS) and path.endswith("/invocations"):
            name = path.removeprefix(f"{FUNCTIONS}/").split("/")[0]
            alias = parse_qs(urlsplit(self.path).query)["Qualifier"][0]
            answer = self.known.invoke(name, alias, body)
            failed = b'"errorType"' in answer
            self._send(200, {"x-amz-function-error": "Unhandled"} if failed else {}, answer)
        else:
            self._pass_on(path, body)

    def _pass_on(self, path: str, body: bytes) -> None:
        connection = http.client.HTTPConnection(urlsplit(self.known.moto).netloc, timeout=60)
        connection.request(self.command, self.path, body, dict(self.headers.items()))
        answer = connection.getresponse()
        content = answer.read()
        if answer.status < 300:
            self.known.note(self.command, path, body, content)
        headers = {name: each for name, each in answer.getheaders() if name.lower() not in HOP}
        self._send(answer.status, headers, content, length=answer.getheader("content-length"))

    def _send(
        self, status: int, headers: dict[str, str], body: bytes, *, length: str | None = None
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        is_head = self.command == "HEAD"
        self.send_header("content-length", (length or "0") if is_head else str(len(body)))
        self.end_headers()
        if not is_head:
            self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = _any  # noqa: N815
