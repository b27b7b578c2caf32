"""One request over HTTP to a deployed service, and its answer whatever the status."""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Mapping

from digits.deployment.target import Reply
from digits.errors import DeploymentError
from serving.settings import KEYS

ANSWER_SECONDS = 10.0
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

    The first key of ``DIGITS_API_KEYS`` goes along.

    Raises:
        DeploymentError: nobody answers, or not in JSON.
    """
    sent = {**({"Content-Type": kind} if body is not None else {}), **(headers or {})}
    key = os.environ.get(KEYS, "").split(",")[0].strip()
    if key:
        sent["X-API-Key"] = key
    began = time.perf_counter()
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, body, sent, method=method), timeout=seconds
        ) as got:
            status, content = got.status, got.read(MOST_BYTES)
    except urllib.error.HTTPError as error:
        status, content = error.code, error.read(MOST_BYTES)
    except OSError as error:
        raise DeploymentError(f"{url} does not answer: {error}") from error
    took = time.perf_counter() - began
    try:
        found = json.loads(content.strip() or b"{}")  # TorchServe gives a new token without a word
    except ValueError as error:
        told = content[:200].decode(errors="replace")
        raise DeploymentError(f"{url} answers {status}, and not in JSON: {told}") from error
    return Reply(status, found if isinstance(found, dict) else {"answer": found}, took)
