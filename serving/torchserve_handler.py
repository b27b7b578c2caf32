"""TorchServe's contract for handlers: it makes one ``Handler`` in each of its workers.

An archive holds this package and the bundle (see ``digits/deployment/torchserve/archive.py``).
TorchServe reads a request's head and takes its token; what it hands over is answered, and refused,
as ``POST /v1/predict`` does it, with the same code.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from digits.contract import switches

switches.apply()

from serving.bodies import KINDS  # noqa: E402  (the switches precede ONNX Runtime)
from serving.call import Answer, Call, error_answer  # noqa: E402
from serving.errors import RequestError  # noqa: E402
from serving.settings import SETTINGS, Settings  # noqa: E402
from serving.single import ROUTE, Single  # noqa: E402

BUNDLE = "bundle"  # folder within the archive
NAMED = "digits_version"  # in the archive's manifest: what answers name the model


if TYPE_CHECKING:  # TorchServe takes the one class that it finds here

    class Context(Protocol):
        """What of TorchServe's context is used here; ``index`` counts the requests of a batch."""

        manifest: Mapping[str, Any]
        system_properties: Mapping[str, Any]

        def get_request_id(self, idx: int) -> str | None: ...  # noqa: D102
        def get_all_request_header(self, idx: int) -> Mapping[str, Any]: ...  # noqa: D102
        def set_response_status(self, code: int, phrase: str, idx: int) -> None: ...  # noqa: D102
        def set_response_content_type(self, idx: int, value: str) -> None: ...  # noqa: D102
        def set_response_header(self, idx: int, key: str, value: str) -> None: ...  # noqa: D102


class Handler:
    """Answers what TorchServe hands over, a batch of requests at a time."""

    def __init__(self) -> None:
        self._single: Single | None = None

    def initialize(self, context: Context) -> None:
        """Load the bundle that lies in the archive.

        Settings are read from the file that the environment names, if it names one.

        Raises:
            RegistryError: the bundle is damaged; TorchServe's log has it.
        """
        logging.getLogger().setLevel(logging.WARNING)  # TorchServe's worker tells of each request
        settings = Settings.named_by_environment() if os.environ.get(SETTINGS) else None
        self._single = Single(
            Path(context.system_properties["model_dir"]) / BUNDLE,
            version=context.manifest["model"].get(NAMED),
            threads=settings.threads if settings else 1,
            limits=settings.limits if settings else None,
        )

    def handle(self, requests: Sequence[Mapping[str, Any]], context: Context) -> list[bytes]:
        """Answer each request with a body; status and headers go into ``context``."""
        return [self._answer(index, parts, context) for index, parts in enumerate(requests)]

    def _answer(self, index: int, parts: Mapping[str, Any], context: Context) -> bytes:
        assert self._single is not None, "TorchServe initializes first"
        call = _call(index, parts, context)
        answer = self._single(call) if "body" in parts else _no_form(call)
        context.set_response_status(answer.status, "", index)
        context.set_response_content_type(index, answer.content_type.decode())
        for name, value in answer.headers:
            context.set_response_header(index, name.decode("latin-1"), value.decode("latin-1"))
        return answer.body


def _call(index: int, parts: Mapping[str, Any], context: Context) -> Call:
    # Beside the headers stand the kinds of the body's parts, as mappings.
    headers = {
        name.lower().encode("latin-1"): value.encode("latin-1", "replace")
        for name, value in context.get_all_request_header(index).items()
        if isinstance(value, str)
    }
    return Call(
        ROUTE, b"", headers, bytes(parts.get("body", b"")), str(context.get_request_id(index))
    )


def _no_form(call: Call) -> Answer:
    """Refuse a form: TorchServe has taken it apart, and of files of one name keeps the last."""
    kinds = KINDS.replace(" or multipart/form-data", "")
    refusal = RequestError(415, "unknown_type", f"TorchServe takes no form: send {kinds}")
    return error_answer(refusal, call.id)
