"""A correction from outside: kept before the answer is given, as a suggestion and no more."""

from __future__ import annotations

import asyncio
import logging
import math
import time

from digits.contract.prediction import issued
from digits.errors import DigitsError
from serving.errors import RequestError
from serving.recorder import Recorder

FLUSHES = 4  # in which another worker has written what it has answered
CLOCK_SECONDS = 2.0  # by which the clocks of two machines may differ, and a commit take longer

log = logging.getLogger(__name__)


async def feedback(recorder: Recorder, prediction: str, label: int, *, origin: str = "api") -> None:
    """Keep what a prediction should have been; when this returns, it is committed.

    The prediction may still be on its way to the store, from this worker or another.

    Args:
        recorder: of this worker.
        prediction: its id.
        label: 0..9.
        origin: who says so: ``page`` or ``api``.

    Raises:
        RequestError: 400 for a label that is no digit; 404 for an id that nobody has given, or
            whose prediction was dropped or deleted; 503 where the store does not answer.
    """
    if type(label) is not int or not 0 <= label <= 9:
        raise RequestError(400, "bad_label", f"label: {label!r} is no digit from 0 to 9")
    patience = FLUSHES * recorder.flush_seconds + CLOCK_SECONDS
    made = issued(prediction)
    deadline = time.monotonic() + patience
    while made is not None:
        if not recorder.pending(prediction) and await _is_kept(recorder, prediction, label, origin):
            return
        if time.monotonic() > deadline and recorder.pending(prediction):
            raise _unavailable(recorder)
        if abs(time.time() - made) > patience and not recorder.pending(prediction):
            break  # whoever gave it would have written it by now
        await asyncio.sleep(recorder.flush_seconds / 2)
    raise RequestError(404, "unknown_prediction", f"no prediction has the id {prediction}")


async def _is_kept(recorder: Recorder, prediction: str, label: int, origin: str) -> bool:
    try:
        return await asyncio.to_thread(
            lambda: recorder.store().correct(prediction, label, origin=origin)
        )
    except DigitsError as error:
        log.error("%s", error)  # which names the place of the store: not for the client
        raise _unavailable(recorder) from error


def _unavailable(recorder: Recorder) -> RequestError:
    message = "the store of predictions cannot be written now; try again"
    after = str(max(1, math.ceil(recorder.flush_seconds)))
    return RequestError(503, "store_unavailable", message, {"Retry-After": after})
