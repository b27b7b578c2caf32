"""One request to an endpoint of SageMaker, and what the container answered."""

from __future__ import annotations

import json
import time
from typing import Any

from digits.deployment.asking import MOST_BYTES
from digits.deployment.aws.faults import AwsError, explained
from digits.deployment.aws.session import Session
from digits.deployment.target import Reply
from digits.errors import DeploymentError

REFUSED = "ModelError"  # the container answered, and not with 200


def invoked(aws: Session, endpoint: str, body: bytes, content_type: str) -> Reply:
    """Send one body to ``POST /invocations`` of the container.

    Raises:
        DeploymentError: there is no such endpoint, or nobody answers.
    """
    began = time.perf_counter()
    try:
        with explained():
            answer = aws.client("sagemaker-runtime").invoke_endpoint(
                EndpointName=endpoint,
                Body=body,
                ContentType=content_type,
                Accept="application/json",
            )
            status, content = 200, answer["Body"].read(MOST_BYTES)
    except AwsError as error:
        if error.code != REFUSED:
            raise
        # SageMaker wraps what the container says in an error of its own.
        status = int(error.details["OriginalStatusCode"])
        content = error.details.get("OriginalMessage", "").encode()
    took = time.perf_counter() - began
    return Reply(status, _parsed(endpoint, status, content), took)


def _parsed(endpoint: str, status: int, content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError as error:
        told = content[:200].decode(errors="replace")
        raise DeploymentError(f"{endpoint} answers {status}, and not in JSON: {told}") from error
    return found if isinstance(found, dict) else {"answer": found}
