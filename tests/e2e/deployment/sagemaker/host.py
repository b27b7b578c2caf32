"""Amazon SageMaker on this machine: moto's control plane, and behind it containers that really run.

One address stands for all of AWS. What moto lacks is added as AWS documents it: UpdateEndpoint,
names that are taken, endpoints that are at work for a while and may fail, alarms that roll an
update back. InvokeEndpoint reaches the container.
"""

from __future__ import annotations

import io
import json
import logging
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from moto.cloudwatch.models import cloudwatch_backends
from moto.core import DEFAULT_ACCOUNT_ID as ACCOUNT
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from moto.sagemaker.models import sagemaker_backends
from werkzeug.serving import make_server
from werkzeug.test import run_wsgi_app
from werkzeug.wrappers import Request, Response

from tests.e2e.deployment.sagemaker.fleet import Fleet

REGION = "eu-central-1"
PREFIX = "SageMaker."


class Host:
    """All of AWS at one loopback address.

    Args:
        fleet: runs endpoints; None: they are said to be in service, and nothing runs.
    """

    def __init__(self, fleet: Fleet | None = None) -> None:
        self.fleet = fleet
        self.refusals: dict[str, tuple[str, str]] = {}  # operation -> code, message
        self.asked: list[tuple[str, dict[str, Any]]] = []  # operations of SageMaker that change
        self.failure = ""  # why endpoints that are made fail
        self.hangs = False  # endpoints that are made never get ready
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._server = make_server(
            "127.0.0.1", 0, self, threaded=True, request_handler=MotoRequestHandler
        )
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @contextmanager
    def running(self) -> Iterator[Host]:
        """Answer meanwhile."""
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()
            if self.fleet is not None:
                self.fleet.close()

    def reset(self) -> None:
        """Forget everything that was made."""
        urllib.request.urlopen(f"{self.url}/moto-api/reset", b"").close()
        self.refusals.clear()
        self.asked.clear()
        self.failure, self.hangs = "", False

    @property
    def backend(self) -> Any:
        """What moto knows of SageMaker."""
        return sagemaker_backends[ACCOUNT][REGION]

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request: as SageMaker where moto does not, else as moto does."""
        request = Request(environ)
        target = request.headers.get("X-Amz-Target", "")
        parts = request.path.strip("/").split("/")
        if parts[0] == "endpoints" and parts[-1] == "invocations":
            answer = self._invoke(parts[1], request)
        elif target.startswith(PREFIX):
            answer = self._controlled(target.removeprefix(PREFIX), request, environ)
        else:
            answer = None
        return (answer or self._moto)(environ, start)

    def _controlled(
        self, operation: str, request: Request, environ: dict[str, Any]
    ) -> Response | None:
        asked = json.loads(request.get_data())
        environ["wsgi.input"] = io.BytesIO(request.get_data())  # moto reads it too
        if operation in self.refusals:
            return _refused(*self.refusals[operation])
        if operation.startswith(("Create", "Update", "Delete")):
            self.asked.append((operation, asked))
        if operation.startswith("Create"):
            return self._create(operation, asked, environ)
        if operation == "UpdateEndpoint":
            return self._update(asked)
        if operation == "DeleteEndpoint":
            return self._delete(asked["EndpointName"])
        return None

    def _create(
        self, operation: str, asked: dict[str, Any], environ: dict[str, Any]
    ) -> Response | None:
        kind = operation.removeprefix("Create")
        known = {
            "Model": self.backend._models,
            "EndpointConfig": self.backend.endpoint_configs,
            "Endpoint": self.backend.endpoints,
        }[kind]
        if asked[f"{kind}Name"] in known:
            return _refused("ValidationException", f"Cannot create already existing {kind}")
        if kind != "Endpoint":
            return None
        body, status, headers = run_wsgi_app(self._moto, environ, buffered=True)
        name = asked["EndpointName"]
        if name in self.backend.endpoints:
            self.backend.endpoints[name].endpoint_status = "Creating"
            self._at_work(name, asked["EndpointConfigName"], "Failed", [])
        return Response(body, status, headers)

    def _update(self, asked: dict[str, Any]) -> Response:
        name, configuration = asked["EndpointName"], asked["EndpointConfigName"]
        if configuration not in self.backend.endpoint_configs:
            return _refused(
                "ValidationException", f"Could not find endpoint configuration {configuration}"
            )
        endpoint = self.backend.endpoints[name]
        if endpoint.endpoint_status != "InService":
            return _refused("ValidationException", "Cannot update in-progress endpoint")
        endpoint.endpoint_status = "Updating"
        rollback = asked.get("DeploymentConfig", {}).get("AutoRollbackConfiguration", {})
        alarms = [each["AlarmName"] for each in rollback.get("Alarms", [])]
        self._at_work(name, configuration, "InService", alarms)
        return Response(json.dumps({"EndpointArn": endpoint.arn}))

    def _delete(self, name: str) -> Response | None:
        endpoint = self.backend.endpoints.get(name)
        if endpoint is not None and endpoint.endpoint_status in ("Creating", "Updating"):
            return _refused("ValidationException", "Cannot delete in-progress endpoint")
        if self.fleet is not None and name in self.fleet.names:
            self.fleet.stop(self.fleet.names.pop(name))
        return None

    def _at_work(self, name: str, configuration: str, failed: str, alarms: list[str]) -> None:
        """Have the endpoint answer by ``configuration``; the requests go on meanwhile."""

        def work() -> None:
            endpoint = self.backend.endpoints[name]
            try:
                if self.failure:
                    raise RuntimeError(self.failure)
                started = self._started(configuration)
                self._hand_over(name, started, alarms)
            except Exception as error:
                endpoint.failure_reason, endpoint.endpoint_status = str(error), failed
                return
            found = self.backend.endpoint_configs[configuration]
            endpoint.endpoint_config_name = configuration
            variants = endpoint._process_production_variants(found.production_variants)
            endpoint.production_variants, endpoint.failure_reason = variants, None
            endpoint.endpoint_status = "InService"

        if not self.hangs:
            threading.Thread(target=work).start()

    def _started(self, configuration: str) -> str | None:
        (variant,) = self.backend.endpoint_configs[configuration].production_variants
        container = self.backend._models[variant["ModelName"]].primary_container
        if self.fleet is None:
            return None
        memory = variant.get("ServerlessConfig", {}).get("MemorySizeInMB", 1024)
        return self.fleet.start(container, memory)

    def _hand_over(self, name: str, started: str | None, alarms: list[str]) -> None:
        known = cloudwatch_backends[ACCOUNT][REGION].alarms
        if tripped := [each for each in alarms if known[each].state_value == "ALARM"]:
            if self.fleet is not None and started is not None:
                self.fleet.stop(started)
            raise RuntimeError(f"Rolled back by {', '.join(tripped)}")
        if self.fleet is not None and started is not None:
            before = self.fleet.names.get(name)
            self.fleet.names[name] = started
            if before is not None:
                self.fleet.stop(before)

    def _invoke(self, name: str, request: Request) -> Response:
        if self.fleet is None or name not in self.fleet.names:
            return _refused("ValidationError", f"Endpoint {name} of account {ACCOUNT} not found.")
        kept = {key: request.headers[key] for key in ("Content-Type", "Accept")}
        url = f"{self.fleet.address(self.fleet.names[name])}/invocations"
        asked = urllib.request.Request(url, request.get_data(), kept)
        try:
            with urllib.request.urlopen(asked, timeout=60) as got:
                headers = {"x-Amzn-Invoked-Production-Variant": "all"}
                return Response(
                    got.read(), content_type=got.headers["Content-Type"], headers=headers
                )
        except urllib.error.HTTPError as error:
            said = error.read().decode()
            answer = {
                "Message": f"Received client error ({error.code}) from primary: {said}",
                "OriginalStatusCode": error.code,
                "OriginalMessage": said,
            }
            return Response(json.dumps(answer), 424, {"x-amzn-ErrorType": "ModelError"})


def _refused(code: str, told: str) -> Response:
    answer = {"__type": code, "message": told, "Message": told}
    return Response(json.dumps(answer), 400, {"x-amzn-ErrorType": code})
