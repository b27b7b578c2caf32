"""The handler of AWS Lambda: function URLs, API Gateway (events of version 2), direct invokes.

A direct invoke has nothing but what ``/v1/predict`` takes as JSON, and gets what it answers; an
error has its ``status`` beside it. The environment says what is answered from: ``DIGITS_MODEL``,
the bundle's folder; ``DIGITS_MODEL_VERSION``, its name; limits and log as in
:mod:`serving.environment`; ``DIGITS_API_KEYS``, one of which is asked for over HTTP.
"""

from __future__ import annotations

from digits.contract import switches

switches.apply()  # before ONNX Runtime is imported

import base64  # noqa: E402
import binascii  # noqa: E402
import os  # noqa: E402
import time  # noqa: E402
from collections.abc import Mapping  # noqa: E402
from functools import cache  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import orjson  # noqa: E402

from digits.contract.prediction import new_id  # noqa: E402
from serving import headers as of_answers  # noqa: E402
from serving import logs  # noqa: E402
from serving.call import Answer, Call, error_answer, json_answer  # noqa: E402
from serving.environment import values_of  # noqa: E402
from serving.errors import BROKEN, RequestError  # noqa: E402
from serving.head import check_key, request_id, shown_key, too_large  # noqa: E402
from serving.settings import Settings, api_keys  # noqa: E402
from serving.single import ROUTE, Single  # noqa: E402

MODEL = "DIGITS_MODEL"
VERSION = "DIGITS_MODEL_VERSION"
HOME = "LAMBDA_TASK_ROOT"  # AWS's own: where a function in a zip finds its files
MOST_ANSWER = 5_900_000  # bytes; Lambda lets 6 MB pass, the headers and quotes among them
HEALTH = ("/healthz", "/readyz", "/ping")
OF_CONNECTIONS = (b"connection", b"content-length")  # what the gateway says for itself

Event = Mapping[str, Any]


class Function:
    """Answers events.

    Args:
        single: the model.
        journal: writes a line for each request that it is told to.
        keys: one of which is asked for where a request comes over HTTP; empty: none.
    """

    def __init__(
        self, single: Single, journal: logs.Journal, keys: frozenset[str] = frozenset()
    ) -> None:
        self._single = single
        self._journal = journal
        self._keys = tuple(key.encode() for key in sorted(keys))

    def __call__(self, event: Any, identity: str) -> dict[str, Any]:
        """Answer an event; ``identity`` is the invoke's own, for what brings none along."""
        if isinstance(event, Mapping) and "http" in (event.get("requestContext") or {}):
            return self._http(event, identity)
        if isinstance(event, Mapping) and "httpMethod" in event:  # events of version 1
            return _sent(error_answer(_old_version(), identity), identity)
        call = Call(ROUTE, b"", {}, orjson.dumps(event), identity)
        answer = self._bounded(self._single(call), identity)
        content: dict[str, Any] = orjson.loads(answer.body)
        return content if answer.status == 200 else {**content, "status": answer.status}

    def _http(self, event: Event, identity: str) -> dict[str, Any]:
        began = time.perf_counter()
        context = event["requestContext"]
        method, path = context["http"]["method"], _path(event)
        named = {
            name.lower().encode("latin-1"): value.encode("latin-1", "replace")
            for name, value in (event.get("headers") or {}).items()
        }
        identity = request_id(named) or identity
        fault: Exception | None = None
        try:
            answer = self._routed(method, path, event, named, identity)
        except RequestError as refusal:
            fault, answer = refusal, error_answer(refusal, identity)
        except Exception as error:  # the journal has it
            fault, answer = error, error_answer(RequestError(500, "internal", BROKEN), identity)
        answer = self._bounded(answer, identity)
        scope = {"method": method, "client": (context["http"].get("sourceIp", ""),)}
        route = path if path in (ROUTE, *HEALTH) else "other"
        seconds = time.perf_counter() - began
        self._journal.request(scope, route, answer.status, seconds, identity, fault)
        return _sent(answer, identity)

    def _routed(
        self, method: str, path: str, event: Event, named: dict[bytes, bytes], identity: str
    ) -> Answer:
        wanted = ("POST",) if path == ROUTE else ("GET", "HEAD") if path in HEALTH else None
        if wanted is None:
            raise RequestError(404, "not_found", "Not Found")
        if method not in wanted:
            raise RequestError(
                405, "method_not_allowed", "Method Not Allowed", {"Allow": ", ".join(wanted)}
            )
        if path == ROUTE:
            if self._keys:
                check_key(shown_key(named), self._keys)
            query = event.get("rawQueryString", "").encode("latin-1", "replace")
            # Its length is of the body before it was put into an event.
            named.pop(b"content-length", None)
            return self._single.predict(Call(path, query, named, self._body(event), identity))
        version = {"version": self._single.model.version}
        answers = {"/healthz": {"status": "alive"}, "/readyz": {"status": "ready", **version}}
        return json_answer(answers.get(path, version))

    def _body(self, event: Event) -> bytes:
        text = event.get("body") or ""
        if not event.get("isBase64Encoded"):
            body: bytes = text.encode()
            return body
        most = self._single.limits.body_bytes
        if len(text) > 4 * (most // 3 + 1):  # looked at before it is decoded
            raise too_large(most)
        try:
            return base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError) as error:
            raise RequestError(400, "bad_base64", f"the body is not base64: {error}") from error

    def _bounded(self, answer: Answer, identity: str) -> Answer:
        if len(answer.body) <= MOST_ANSWER:
            return answer
        told = f"the answer has {len(answer.body):,} bytes; send fewer images at once"
        return error_answer(RequestError(413, "too_many", told), identity)


def _path(event: Event) -> str:
    """Return the path without the name of the stage, which API Gateway puts in front."""
    path: str = event.get("rawPath") or "/"
    stage = f"/{event['requestContext'].get('stage', '$default')}"
    return path[len(stage) :] if path.startswith(f"{stage}/") else path


def _sent(answer: Answer, identity: str) -> dict[str, Any]:
    answer.request_id = identity
    named = {
        name.decode(): value.decode()
        for name, value in of_answers.of_answer(answer)
        if name not in OF_CONNECTIONS
    }
    return {
        "statusCode": answer.status,
        "headers": named,
        "body": answer.body.decode(),
        "isBase64Encoded": False,
    }


def _old_version() -> RequestError:
    told = "this is an event of version 1: set the integration's payload format version to 2.0"
    return RequestError(400, "bad_event", told)


@cache
def function() -> Function:
    """Load the model that the environment names; once in a process.

    Raises:
        ConfigError: a setting is wrong.
        RegistryError: there is no model, or it cannot be trusted.
    """
    folder = Path(os.environ.get(HOME, ".")) / os.environ.get(MODEL, "model")
    settings = Settings.of(values_of(os.environ, {"pointer": folder}))
    logs.to_stderr(settings.log.level)
    single = Single(
        folder,
        version=os.environ.get(VERSION) or None,
        threads=settings.threads,
        limits=settings.limits,
    )
    return Function(single, logs.Journal(settings.log.requests), api_keys())


def handler(event: Any, context: Any) -> dict[str, Any]:
    """Answer an event; what AWS Lambda calls."""
    return function()(event, getattr(context, "aws_request_id", None) or new_id())


if "AWS_LAMBDA_RUNTIME_API" in os.environ:
    function()  # before the first event: the time until then is lent with a whole processor
