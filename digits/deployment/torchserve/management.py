"""What is asked of a running TorchServe: its management API, and its predictions.

Every request shows a token. TorchServe writes its tokens to ``key_file.json`` in the folder that it
runs in, readable by its user alone, and gives new ones to whoever shows the key in it that does
not expire.
"""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from digits.deployment.asking import ANSWER_SECONDS, reply
from digits.deployment.target import Reply
from digits.errors import DeploymentError

KEYS = "key_file.json"
REFUSED = 400

Purpose = Literal["management", "inference"]


class Management:
    """One running server.

    Args:
        folder: that it runs in.
        inference, management: its addresses.
        model: registered name, for example ``digits``.
        wait_seconds: for workers to come up.
    """

    def __init__(
        self, folder: Path, *, inference: str, management: str, model: str, wait_seconds: float
    ) -> None:
        self._keys = folder / KEYS
        self._inference = inference
        self._management = management
        self._model = model
        self._wait = wait_seconds

    def register(self, archive: str, *, workers: int, batch: tuple[int, int], seconds: int) -> None:
        """Load an archive out of the model store, and wait until its workers answer.

        Args:
            archive: file name.
            workers: processes that answer from it.
            batch: requests answered together at most, and the milliseconds that the first of them
                waits for others.
            seconds: that a request may take.

        Raises:
            DeploymentError: its workers do not come up; TorchServe has dropped it again.
        """
        self._do(
            "POST",
            "/models",
            url=archive,
            model_name=self._model,
            initial_workers=workers,
            batch_size=batch[0],
            max_batch_delay=batch[1],
            response_timeout=seconds,
            synchronous="true",
        )

    def scale(self, version: str, workers: int) -> None:
        """Have this many workers answer from a version, and wait for it.

        Raises:
            DeploymentError: they do not come up.
        """
        self._do(
            "PUT",
            f"/models/{self._model}/{version}",
            min_worker=workers,
            max_worker=workers,
            synchronous="true",
        )

    def set_default(self, version: str) -> None:
        """Let a version answer who names none."""
        self._do("PUT", f"/models/{self._model}/{version}/set-default")

    def unregister(self, version: str) -> None:
        """Have a version forgotten; it must not be the default one."""
        self._do("DELETE", f"/models/{self._model}/{version}")

    def default(self) -> Mapping[str, Any]:
        """Return what TorchServe says of the version that answers who names none.

        Raises:
            DeploymentError: no version is registered, or nobody answers.
        """
        found: Mapping[str, Any] = self._do("GET", f"/models/{self._model}")["answer"][0]
        return found

    def versions(self) -> Mapping[str, Mapping[str, Any]]:
        """Return what TorchServe says of each version; it does not say which is the default."""
        found: Sequence[Mapping[str, Any]] = self._do("GET", f"/models/{self._model}/all")["answer"]
        return {str(each["modelVersion"]): each for each in found}

    def ask(self, body: bytes, content_type: str) -> Reply:
        """Send one request to the version that is the default; return any answer."""
        answer = self._send(
            "inference",
            f"{self._inference}/predictions/{self._model}",
            body=body,
            kind=content_type,
        )
        if answer.status >= REFUSED and "message" in answer.content:  # TorchServe's own refusal
            told = {"error": answer.content["message"], "code": answer.content.get("type")}
            return answer._replace(content=told)
        return answer

    def _do(self, method: str, path: str, **query: object) -> dict[str, Any]:
        url = f"{self._management}{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
        answer = self._send("management", url, method=method, seconds=self._wait)
        if answer.status >= REFUSED:
            told = answer.content.get("message", answer.content)
            raise DeploymentError(f"TorchServe refuses {method} {path}: {told}")
        return answer.content

    def _send(
        self,
        purpose: Purpose,
        url: str,
        *,
        method: str | None = None,
        body: bytes | None = None,
        kind: str = "",
        seconds: float = ANSWER_SECONDS,
    ) -> Reply:
        return reply(
            url,
            body,
            kind=kind,
            method=method,
            headers={"Authorization": f"Bearer {self._token(purpose)}"},
            seconds=seconds,
        )

    def _token(self, purpose: Purpose) -> str:
        """Return a token that has not expired."""
        kept = self._read_keys()
        if datetime.fromisoformat(kept[purpose]["expiration time"]) <= datetime.now(UTC):
            headers = {"Authorization": f"Bearer {kept['API']['key']}"}
            renewed = reply(f"{self._management}/token?type={purpose}", headers=headers)
            if renewed.status >= REFUSED:
                raise DeploymentError(f"TorchServe gives no new token: {renewed.content}")
            kept = self._read_keys()
        return str(kept[purpose]["key"])

    def _read_keys(self) -> dict[str, dict[str, str]]:
        try:
            found: dict[str, dict[str, str]] = json.loads(self._keys.read_bytes())
        except (OSError, ValueError) as error:
            raise DeploymentError(f"TorchServe has not written its tokens: {error}") from error
        return found


def ready(described: Mapping[str, Any]) -> int:
    """Return how many workers of a version answer; ``/ping`` is healthy without any."""
    return sum(each["status"] == "READY" for each in described["workers"])
