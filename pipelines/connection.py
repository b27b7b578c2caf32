"""Reaching Kubeflow Pipelines, with one clear message where that does not work."""

from __future__ import annotations

import contextlib
import io
import json
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from digits.errors import PipelineError

TOKEN, TOKEN_FILE = "KFP_TOKEN", "KFP_TOKEN_FILE"
ANSWER_SECONDS = 10.0
OK = 200
REFUSED = (401, 403)


def token() -> str | None:
    """Return the token of the environment; one in a file is read anew each time, for it changes.

    Raises:
        PipelineError: the file cannot be read.
    """
    if file := os.environ.get(TOKEN_FILE):
        try:
            return Path(file).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise PipelineError(f"{TOKEN_FILE}: {file}: {error.strerror}") from error
    return os.environ.get(TOKEN) or None


def connect(host: str, namespace: str | None, ca: str | None) -> Any:
    """Return Kubeflow's client for ``host``, after that has answered once.

    Raises:
        PipelineError: it does not answer, refuses the token, or is something else.
    """
    import kfp

    found = host if "://" in host else f"https://{host}"
    secret = token()
    _assert_answers(found.rstrip("/"), secret, ca)
    with quiet():
        return kfp.Client(
            host=found,
            namespace=namespace or "kubeflow",
            existing_token=secret,
            ssl_ca_cert=ca,
        )


def _assert_answers(host: str, secret: str | None, ca: str | None) -> None:
    """Ask for a sign of life: the client itself tries for half a minute, and says little."""
    import urllib3

    headers = {"Authorization": f"Bearer {secret}"} if secret else {}
    pool = urllib3.PoolManager(timeout=ANSWER_SECONDS, retries=False, ca_certs=ca)
    try:
        answer = pool.request("GET", f"{host}/apis/v2beta1/healthz", headers=headers)
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise PipelineError(
            f"pipeline.host: Kubeflow Pipelines does not answer at {host} ({error})"
        ) from error
    finally:
        pool.clear()
    if answer.status in REFUSED:
        raise refused(host, answer.status)
    try:
        whole = answer.status == OK and isinstance(json.loads(answer.data), dict)
    except ValueError:
        whole = False
    if not whole:
        raise PipelineError(
            f"pipeline.host: what answers at {host} is not the API of Kubeflow Pipelines "
            f"(HTTP {answer.status}): a log-in page, or another address"
        )


def refused(host: str, status: int) -> PipelineError:
    """Return the error for a token that is not accepted."""
    told = "the token" if token() else "a request without a token"
    return PipelineError(
        f"pipeline.host: Kubeflow Pipelines at {host} refuses {told} (HTTP {status}): set {TOKEN}, "
        f"or {TOKEN_FILE} for one that is renewed"
    )


@contextlib.contextmanager
def explained(host: str) -> Iterator[None]:
    """Turn what the client raises into one clear message."""
    import kfp_server_api
    import urllib3

    try:
        yield
    except kfp_server_api.ApiException as error:
        if error.status in REFUSED:
            raise refused(host, error.status) from error
        raise PipelineError(
            f"pipeline.host: Kubeflow Pipelines at {host} refuses (HTTP {error.status}): "
            f"{_reason(error)}"
        ) from error
    except urllib3.exceptions.HTTPError as error:
        raise PipelineError(
            f"pipeline.host: Kubeflow Pipelines at {host} has stopped answering ({error})"
        ) from error


def _reason(error: Any) -> str:
    try:
        told = json.loads(error.body)
        return str(told.get("error") or told.get("message") or told)
    except (TypeError, ValueError, AttributeError):
        return str(error.reason)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the client from printing addresses of pages, and from warning of an old server."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield
