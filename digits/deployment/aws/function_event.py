"""Asking a function at AWS Lambda, as its URL would ask it."""

from __future__ import annotations

import base64
import json
import os
import time
from typing import Any

from digits.deployment.aws.faults import explained
from digits.deployment.aws.function_front import LIVE
from digits.deployment.aws.session import Session
from digits.deployment.target import Reply
from digits.errors import DeploymentError
from serving.settings import KEYS

ROUTE = "/v1/predict"


def ask(aws: Session, function: str, body: bytes, content_type: str) -> Reply:
    """Send a body as an event of a function URL; return any answer.

    Raises:
        DeploymentError: AWS does not let us, or the function has failed.
    """
    began = time.perf_counter()
    with explained():
        found = aws.client("lambda").invoke(
            FunctionName=function, Qualifier=LIVE, Payload=json.dumps(event(body, content_type))
        )
    told = found["Payload"].read()
    took = time.perf_counter() - began
    answer = _read(told)
    if "FunctionError" in found or "statusCode" not in answer:
        fault = answer.get("errorMessage") or told[:200].decode(errors="replace")
        raise DeploymentError(
            f"The function {function} has failed: {answer.get('errorType', 'error')}: {fault}. "
            f"Its log says more: aws logs tail /aws/lambda/{function}"
        )
    return Reply(int(answer["statusCode"]), _read(answer["body"]), took)


def event(body: bytes, content_type: str) -> dict[str, Any]:
    """Return the event of version 2; the first key of ``DIGITS_API_KEYS`` goes along."""
    headers = {"content-type": content_type}
    key = os.environ.get(KEYS, "").split(",")[0].strip()
    if key:
        headers["x-api-key"] = key
    return {
        "version": "2.0",
        "rawPath": ROUTE,
        "rawQueryString": "",
        "headers": headers,
        "requestContext": {"http": {"method": "POST", "path": ROUTE}, "stage": "$default"},
        "body": base64.b64encode(body).decode(),
        "isBase64Encoded": True,
    }


def _read(text: bytes | str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {"answer": content}
