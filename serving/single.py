"""One request at a time without a server: for AWS Lambda, TorchServe, and whoever calls a function.

What ``POST /v1/predict`` answers, and refuses, is answered and refused here alike. No event loop
and no web framework is imported: where a start is waited for, they would be most of it.
"""

from __future__ import annotations

import logging
from pathlib import Path

from digits.contract.prediction import new_ids
from serving.answering import answer_of, in_json, one_by_one
from serving.bodies import Asked, key_of
from serving.call import Answer, Call, error_answer, truth
from serving.errors import BROKEN, RequestError
from serving.head import check_head, too_large
from serving.model import loaded
from serving.pictures import read_pictures
from serving.reading import FORM, read
from serving.settings import Limits

log = logging.getLogger(__name__)

ROUTE = "/v1/predict"
NOTHING_KEPT = "off"


class Single:
    """A bundle that answers one call after the other.

    Args:
        folder: the bundle.
        version: what answers name it, for example ``digits/3``; see
            :class:`serving.model.ServedModel`.
        threads: of ONNX Runtime.
        limits: of one request; ``rate``, ``in_flight`` and keys are left to whoever calls.

    Raises:
        RegistryError: there is no bundle, it is damaged, or does not know its own digit.
    """

    def __init__(
        self,
        folder: Path,
        *,
        version: str | None = None,
        threads: int = 1,
        limits: Limits | None = None,
    ) -> None:
        self.model = loaded(folder, version=version, threads=threads)
        self.limits = limits or Limits()

    def __call__(self, call: Call) -> Answer:
        """Answer a call, a wrong one too; never raises."""
        try:
            return self.predict(call)
        except RequestError as refusal:
            return error_answer(refusal, call.id)
        except Exception:
            log.exception("The call %s has no answer", call.id)
            return error_answer(RequestError(500, "internal", BROKEN), call.id)

    def predict(self, call: Call) -> Answer:
        """Answer a call.

        Raises:
            RequestError: what ``/v1/predict`` would refuse.
        """
        check_head(call.headers, self.limits.body_bytes)
        if len(call.body) > self.limits.body_bytes:
            raise too_large(self.limits.body_bytes)
        parameters = call.parameters("pixels", "store")
        truth(parameters, "store", default=False)  # nothing is kept, but it has to be a proper one
        with_pixels = truth(parameters, "pixels", default=False)
        asked = self.read(call)
        answers = self.model.predict(asked.images)
        predictions = one_by_one(
            new_ids(len(asked.images)),
            asked.images,
            answers,
            key=asked.key,
            version=self.model.version,
            deployment="",
            route=ROUTE,
        )
        return answer_of(
            asked, in_json(predictions, answers, NOTHING_KEPT, with_pixels=with_pixels)
        )

    def read(self, call: Call) -> Asked:
        """Read a body by its content type.

        Raises:
            RequestError: see :mod:`serving.reading`.
        """
        preprocess = self.model.preprocess
        if call.content_type == FORM:
            files, key = _form(call, self.limits)
            images = read_pictures(files, self.limits, preprocess)
            asked = Asked(images, len(files) > 1, key, {})
        else:
            asked = read(call, self.limits, preprocess)
        if asked.key is None:
            asked.key = key_of(call)
        return asked


def _form(call: Call, limits: Limits) -> tuple[list[bytes], str | None]:
    import asyncio  # with the parser a tenth of a second that only forms are to pay

    from serving.multipart import read_form

    return asyncio.run(read_form(call, limits))
