"""One request over HTTP to a deployed service, and its answer whatever the status."""

from __future__ import annotations

import http.client
import ipaddress
import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import cast

from digits.deployment.target import Reply
from digits.errors import DeploymentError
from serving.registry import Unredirected
from serving.settings import KEYS

ANSWER_SECONDS = 10.0
REDIRECTS = range(300, 400)
MOST_BYTES = 16 * 1024 * 1024  # of an answer: 1,024 predictions take 0.4 MB


def reply(
    url: str,
    body: bytes | None = None,
    *,
    kind: str = "application/octet-stream",
    method: str | None = None,
    headers: Mapping[str, str] | None = None,
    seconds: float = ANSWER_SECONDS,
) -> Reply:
    """Send a body of this ``kind``, or ask without one; return any answer.

    ``method`` is POST where there is a body, else GET, if it is not said.

    The first key of ``DIGITS_API_KEYS`` goes along, to this address and no other: a redirect is not
    followed, and no proxy is asked for an address of this machine.

    Raises:
        DeploymentError: nobody answers, or not in JSON, or from elsewhere.
    """
    sent = {**({"Content-Type": kind} if body is not None else {}), **(headers or {})}
    key = os.environ.get(KEYS, "").split(",")[0].strip()
    if key:
        sent["X-API-Key"] = key
    began = time.perf_counter()
    try:
        with _sent(urllib.request.Request(url, body, sent, method=method), seconds) as got:
            status, content = got.status, got.read(MOST_BYTES)
    except (OSError, http.client.HTTPException) as error:
        told = str(error) or type(error).__name__
        raise DeploymentError(f"{url} does not answer: {told}") from error
    took = time.perf_counter() - began
    if status in REDIRECTS:
        raise DeploymentError(f"{url} answers {status}: go elsewhere; that is not followed")
    try:
        found = json.loads(content.strip() or b"{}")  # TorchServe gives a new token without a word
    except ValueError as error:
        told = content[:200].decode(errors="replace")
        raise DeploymentError(f"{url} answers {status}, and not in JSON: {told}") from error
    return Reply(status, found if isinstance(found, dict) else {"answer": found}, took)


def _sent(request: urllib.request.Request, seconds: float) -> http.client.HTTPResponse:
    """Return any answer, also one that urllib takes for an error."""
    handlers: list[urllib.request.BaseHandler] = [Unredirected()]
    if _is_here(urllib.parse.urlsplit(request.full_url).hostname):
        handlers.append(urllib.request.ProxyHandler({}))
    try:
        answer = urllib.request.build_opener(*handlers).open(request, timeout=seconds)
    except urllib.error.HTTPError as error:
        answer = error
    return cast("http.client.HTTPResponse", answer)


def _is_here(host: str | None) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:  # a name
        return False
