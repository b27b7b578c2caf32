"""A served prediction, and what is said of it later, as the traffic store keeps them.

Plain rows without a database behind them: the request path builds them and imports nothing more.
"""

from __future__ import annotations

import os
import re
import time
from typing import NamedTuple

PIXELS = 28 * 28  # bytes of one image
PROBABILITIES = 10 * 4  # bytes: ten float32
RANDOM_BYTES = 10  # of an id, behind six bytes of time; six of their bits are fixed
RANDOM_BITS = 8 * RANDOM_BYTES
_VERSION_7 = 0x7000_8000_0000_0000_0000  # with the variant of RFC 9562
_RANDOM = 0x0FFF_3FFF_FFFF_FFFF_FFFF
_ID = re.compile(r"[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}")


class Prediction(NamedTuple):
    """One answer.

    Attributes:
        id: of :func:`new_id`.
        time: when it was given, in seconds since 1970 (UTC).
        key: what the client calls it; None where it says nothing.
        pixels: what the model saw, uint8 ``[28, 28]`` row by row, 784 bytes; None where no images
            are kept.
        probabilities: float32 ``[10]`` in 0..1, little-endian, 40 bytes.
        digit: the likeliest, 0..9.
        confidence: its probability.
        is_digit: False where the model takes the image for no digit at all; None where it cannot
            tell.
        version: of the model, ``<name>/<number>``.
        deployment: id of the deployment that answered.
        source: the route that was asked.
    """

    id: str
    time: float
    key: str | None
    pixels: bytes | None
    probabilities: bytes
    digit: int
    confidence: float
    is_digit: bool | None
    version: str
    deployment: str
    source: str


class Stored(NamedTuple):
    """A prediction out of the store.

    Attributes:
        number: its place: grows in the order in which predictions are written, so that a reader
            who remembers the last one goes on after it and misses none.
        prediction: as it was written.
        suggestion: label of the newest correction; None where there is none.
    """

    number: int
    prediction: Prediction
    suggestion: int | None


class Correction(NamedTuple):
    """What somebody says a prediction should have been: a suggestion, not a label.

    Attributes:
        number: its place among all of them, as in :class:`Stored`.
        prediction: id of the prediction.
        time: when it was said, in seconds since 1970 (UTC).
        label: 0..9.
        origin: who says so, for example ``page`` or ``api``.
    """

    number: int
    prediction: str
    time: float
    label: int
    origin: str


class Deployment(NamedTuple):
    """A service that was started.

    Attributes:
        id: unique.
        started: in seconds since 1970 (UTC).
        kind: how it is deployed, for example ``local``.
        host: name of the machine.
        version: the model that it started with; None where that is not known.
        settings: sha256 (hex) of its settings; None where that is not known.
    """

    id: str
    started: float
    kind: str
    host: str
    version: str | None = None
    settings: str | None = None


class Served(NamedTuple):
    """How much a deployment has answered with one version, of what is still kept.

    Attributes:
        deployment: its id.
        version: of the model.
        predictions: how many.
        first: time of the first, in seconds since 1970 (UTC).
        last: time of the last.
    """

    deployment: str
    version: str
    predictions: int
    first: float
    last: float


def new_id() -> str:
    """Return an id that nobody can guess: a UUID of version 7 (RFC 9562), 32 hex digits.

    It begins with the time in milliseconds: new ids are the greatest, which keeps the store's index
    small and its pages warm, and an old one is told without asking the store.
    """
    return new_ids(1)[0]


def new_ids(count: int) -> list[str]:
    """Return so many ids of :func:`new_id`."""
    beginning = (int(time.time() * 1000) << RANDOM_BITS) | _VERSION_7
    drawn = os.urandom(count * RANDOM_BYTES)
    tails = [
        int.from_bytes(drawn[at : at + RANDOM_BYTES]) & _RANDOM
        for at in range(0, len(drawn), RANDOM_BYTES)
    ]
    return [(beginning | tail).to_bytes(16).hex() for tail in tails]


def issued(identifier: str) -> float | None:
    """Return when an id was made, in seconds since 1970 (UTC); None for what is no id of ours."""
    if not _ID.fullmatch(identifier):
        return None
    return int(identifier[:12], 16) / 1000
