"""All that is known of one sample: what was answered, which label counts, which features it has."""

from __future__ import annotations

import asyncio
import http.client
import json
import logging
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import numpy as np

from digits.contract.prediction import Stored, issued
from digits.errors import DigitsError
from serving.errors import RequestError
from serving.labelling import Labelling

if TYPE_CHECKING:
    from serving.recorder import Recorder

ANSWER_SECONDS = 2.0  # until the one who has the features is taken for gone
FLUSHES = 3  # in which a prediction that was just given has been written

log = logging.getLogger(__name__)


class Samples:
    """Looks a sample up.

    Args:
        recorder: of this worker; None: no predictions are kept.
        labelling: knows the labels.
        features: address of ``task=features action=push follow=true``; None: there is none.
    """

    def __init__(
        self, recorder: Recorder | None, labelling: Labelling, features: str | None
    ) -> None:
        self._recorder = recorder
        self._labelling = labelling
        self._features = features

    async def find(self, sample: str) -> Mapping[str, Any]:
        """Return what is known of a sample: prediction, label, features; null what is not.

        Features are also null where whoever has them does not answer.

        Raises:
            RequestError: 404 where nothing is known; 503 where predictions or labels cannot be
                read.
        """
        prediction = label = None
        if self._recorder is not None:
            prediction = await self._prediction(self._recorder, sample)
            label = await self._labelling.confirmed(sample)
        features = None
        if self._features is not None:
            features = await asyncio.to_thread(_ask, self._features, sample)
        if prediction is None and label is None and not features:
            raise RequestError(404, "unknown_sample", "nothing is known of such a sample")
        return {"id": sample, "prediction": prediction, "label": label, "features": features}

    async def _prediction(self, recorder: Recorder, sample: str) -> Mapping[str, Any] | None:
        made = issued(sample)
        if made is None:
            return None
        try:
            found = await asyncio.to_thread(lambda: recorder.store().find(sample))
            patience = FLUSHES * recorder.flush_seconds
            if found is None and abs(time.time() - made) < patience:
                await asyncio.sleep(patience)  # another worker may be about to write it
                found = await asyncio.to_thread(lambda: recorder.store().find(sample))
        except DigitsError as error:
            log.error("%s", error)  # which names the place of the store: not for the client
            message = "the store of predictions cannot be read now; try again"
            raise RequestError(503, "store_unavailable", message, {"Retry-After": "1"}) from error
        return None if found is None else _told(found)


def _told(stored: Stored) -> Mapping[str, Any]:
    row = stored.prediction
    return {
        "time": row.time,
        "digit": row.digit,
        "confidence": row.confidence,
        "probabilities": np.frombuffer(row.probabilities, "<f4").tolist(),
        "is_digit": row.is_digit,
        "version": row.version,
        "deployment": row.deployment,
        "suggestion": stored.suggestion,
    }


def _ask(address: str, sample: str) -> Mapping[str, Any] | None:
    """Return the features that are online; None where nobody answers."""
    place = urlsplit(address)
    connection = http.client.HTTPConnection(
        place.hostname or "", place.port or 80, timeout=ANSWER_SECONDS
    )
    try:
        connection.request("GET", f"{place.path.rstrip('/')}/samples/{quote(sample, safe='')}")
        answer = connection.getresponse()
        content = answer.read()
        if answer.status != http.HTTPStatus.OK:
            raise http.client.HTTPException(f"status {answer.status}")
        found: Mapping[str, Any] = json.loads(content)
    except (OSError, http.client.HTTPException, ValueError) as error:
        log.warning("serving.features: %s gives no features: %s", address, error)
        return None
    finally:
        connection.close()
    return found
