"""The few questions that a container asks an MLflow server, over HTTP and without MLflow.

Where the server asks for them, the credentials are those of MLflow's own variables:
``MLFLOW_TRACKING_TOKEN``, or ``MLFLOW_TRACKING_USERNAME`` and ``MLFLOW_TRACKING_PASSWORD``.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from typing import IO

from pydantic import BaseModel, ValidationError

from digits.errors import RegistryError

QUIET_SECONDS = 10.0  # without a byte from the server
WHOLE_SECONDS = 300.0  # for one version: a server may also be slow on purpose
ANSWER_BYTES = 1024**2
CHUNK = 1024**2
SOURCE = re.compile(r"runs:/([0-9a-f]{32})/([\w./-]+)")


class _Tag(BaseModel):
    key: str
    value: str = ""


class Entry(BaseModel):
    """What the registry has on a version.

    Attributes:
        version: its number.
        source: where its bundle is stored.
        tags: all of them.
    """

    version: int
    source: str = ""
    tags: list[_Tag] = []

    def tag(self, key: str) -> str | None:
        """Return the value of a tag; None: there is none of that name."""
        return next((tag.value for tag in self.tags if tag.key == key), None)


class _Answer(BaseModel):
    model_version: Entry


class Unredirected(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: credentials are for the server that was named and no other."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: Message,
        newurl: str,
    ) -> None:
        """Ask nobody else: the redirect itself is the answer."""


class Registry:
    """The registry of an MLflow server, for as long as it takes to fetch one version.

    Args:
        server: its http(s) address.
    """

    def __init__(self, server: str) -> None:
        self.server = server
        self._open = urllib.request.build_opener(Unredirected).open
        self._end = time.monotonic() + WHOLE_SECONDS

    def version(self, name: str, *, alias: str | None, number: int | None) -> Entry:
        """Look a version up by its alias, or else by its number.

        Raises:
            RegistryError: there is none, or the server does not answer.
        """
        if alias is not None:
            path, asked = "registered-models/alias", {"name": name, "alias": alias}
        else:
            path, asked = "model-versions/get", {"name": name, "version": str(number)}
        with self._ask(f"api/2.0/mlflow/{path}", asked) as answer:
            content = b"".join(self._pieces(answer, ANSWER_BYTES))
        try:
            return _Answer.model_validate_json(content).model_version
        except ValidationError as error:
            raise RegistryError(
                f"{self.server} does not answer as an MLflow server does"
            ) from error

    def download(self, entry: Entry, file: Path, limit: int) -> None:
        """Write to ``file`` what is stored under its name, of ``limit`` bytes at most.

        Raises:
            RegistryError: there is no such file, it is larger, or it does not come in time.
            OSError: it cannot be written.
        """
        found = SOURCE.fullmatch(entry.source)
        if found is None:
            raise RegistryError(f"version {entry.version} is not stored with the run that made it")
        # Not `model-versions/get-artifact`: the server cannot follow this kind of source itself.
        asked = {"run_id": found[1], "path": f"{found[2]}/{file.name}"}
        with self._ask("get-artifact", asked) as answer, file.open("xb") as copy:
            for piece in self._pieces(answer, limit):
                copy.write(piece)

    def _pieces(self, answer: http.client.HTTPResponse, limit: int) -> Iterator[bytes]:
        told, size = answer.length, 0
        while told is None or size < told:
            if time.monotonic() > self._end:
                raise RegistryError(f"the server is too slow: {WHOLE_SECONDS:.0f} s are over")
            try:
                piece = answer.read1(CHUNK)
            except (OSError, http.client.HTTPException) as error:
                raise RegistryError(f"the connection broke: {error}") from error
            if not piece:
                break
            size += len(piece)
            if size > limit:
                raise RegistryError(f"the answer is larger than {limit:,} bytes")
            yield piece
        if told is not None and size < told:
            raise RegistryError(f"the connection ended {told - size} bytes early")

    def _ask(self, path: str, asked: dict[str, str]) -> http.client.HTTPResponse:
        address = f"{self.server}/{path}?{urllib.parse.urlencode(asked)}"
        request = urllib.request.Request(address, headers=_credentials())
        try:
            answer: http.client.HTTPResponse = self._open(request, timeout=QUIET_SECONDS)
        except urllib.error.HTTPError as error:
            with error:
                raise RegistryError(f"{error.code} {_told(error)}") from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            raise RegistryError(f"the server does not answer: {reason}") from error
        return answer


def _credentials() -> dict[str, str]:
    if token := os.environ.get("MLFLOW_TRACKING_TOKEN"):
        return {"Authorization": f"Bearer {token}"}
    if user := os.environ.get("MLFLOW_TRACKING_USERNAME"):
        pair = f"{user}:{os.environ.get('MLFLOW_TRACKING_PASSWORD', '')}"
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    return {}


def _told(error: urllib.error.HTTPError) -> str:
    """Return what the server says, on one line."""
    try:
        message = json.loads(error.read(4096))["message"]
    except (OSError, ValueError, TypeError, KeyError, http.client.HTTPException):
        message = error.reason
    return " ".join(str(message).split())[:300]
