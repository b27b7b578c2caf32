"""What a person says of an image, and what it is asked about, as the label store keeps them.

Plain rows without a database behind them.
"""

from __future__ import annotations

import math
import re
from struct import unpack
from typing import NamedTuple

from digits.contract.prediction import PIXELS, PROBABILITIES

NOT_A_DIGIT = -1  # a label beside 0..9
LABELS = range(NOT_A_DIGIT, 10)
NAME = re.compile(r"[A-Za-z0-9._-]{1,32}")
DOUBTFUL_CONTROLS = 2  # wrong ones from which a labeller may be in doubt
DOUBTFUL_SHARE = 0.2  # of the controls


class Queued(NamedTuple):
    """An image that somebody should label.

    Attributes:
        sample: its name: the id of the prediction for served traffic; else ``<pool>/<index>``.
        pixels: uint8 ``[28, 28]`` row by row, 784 bytes.
        probabilities: of the model, float32 ``[10]`` in 0..1, little-endian, 40 bytes.
        digit: the likeliest, 0..9.
        confidence: its probability.
        version: of the model, ``<name>/<number>``.
        score: how useful its label is, in the terms of ``method``.
        method: by which it was selected, for example ``margin``.
        time: when the image was seen, in seconds since 1970 (UTC).
        control: its known label where it only checks the labeller, who is not told; else None.
        suggestion: label that somebody has suggested; None where nobody has.
    """

    sample: str
    pixels: bytes
    probabilities: bytes
    digit: int
    confidence: float
    version: str
    score: float
    method: str
    time: float
    control: int | None = None
    suggestion: int | None = None


class Event(NamedTuple):
    """Something that a labeller did; events are added and never changed.

    Attributes:
        number: its place: grows in the order of commits, so that a reader who remembers the last
            one goes on after it and misses none.
        sample: what it is about.
        time: in seconds since 1970 (UTC); never before that of an earlier event.
        labeller: who.
        action: ``label``; ``skip``: cannot tell; ``undo``: takes back an answer of their own;
            ``withdraw``: takes back a label of somebody else.
        label: -1..9 (-1: no digit at all) of a ``label``; else None.
        of: number of the event that is taken back by ``undo`` and ``withdraw``; else None.
    """

    number: int
    sample: str
    time: float
    labeller: str
    action: str
    label: int | None = None
    of: int | None = None


class Confirmed(NamedTuple):
    """The label that counts for a sample.

    It is the one that most labellers give; where there are several such, none counts.

    Attributes:
        sample: its name, as in :class:`Queued`.
        pixels: uint8 ``[28, 28]`` row by row, 784 bytes.
        label: -1..9; -1: no digit at all.
        time: since when it counts, in seconds since 1970 (UTC).
        labeller: the first of those who say so.
        number: of the event since which it counts.
    """

    sample: str
    pixels: bytes
    label: int
    time: float
    labeller: str
    number: int


class Verdict(NamedTuple):
    """A change of the label that counts for a sample.

    Attributes:
        number: of the event that brought it.
        sample: its name, as in :class:`Queued`.
        pixels: uint8 ``[28, 28]`` row by row, 784 bytes.
        seen: when the image was seen, in seconds since 1970 (UTC).
        time: since when the label counts.
        label: -1..9; None: no label counts any more.
        labeller: the first of those who say so; of None, who has brought that about.
    """

    number: int
    sample: str
    pixels: bytes
    seen: float
    time: float
    label: int | None
    labeller: str


class Progress(NamedTuple):
    """How far the queue is labelled, its controls left out.

    Attributes:
        queued: samples, all of them.
        labelled: those for which a label counts.
        disputed: those whose labellers disagree, so that none counts.
        skipped: those that somebody has skipped and nobody has labelled.
    """

    queued: int
    labelled: int
    disputed: int
    skipped: int = 0


class Labeller(NamedTuple):
    """What somebody has labelled, and how far to trust it.

    Attributes:
        name: of the labeller.
        labels: that stand, those of controls left out.
        right: controls whose known label was given.
        wrong: controls that were labelled otherwise.
        agreed: how often a label of another on the same sample is the same.
        compared: how often there is such a label.
        withdrawn: labels that were taken back by somebody else.
    """

    name: str
    labels: int
    right: int
    wrong: int
    agreed: int
    compared: int
    withdrawn: int

    @property
    def is_doubtful(self) -> bool:
        """Whether too many controls are wrong to be slips."""
        controls = self.right + self.wrong
        return self.wrong >= DOUBTFUL_CONTROLS and self.wrong > DOUBTFUL_SHARE * controls


def check_name(name: str) -> str:
    """Return the name of a labeller.

    Raises:
        ValueError: it is none.
    """
    if not NAME.fullmatch(name):
        raise ValueError(f"labeller: {name!r} is no name of 1 to 32 letters, digits, dots and -_")
    return name


def check_row(row: Queued) -> Queued:
    """Return a row that the store can keep.

    Raises:
        ValueError: a value is not as :class:`Queued` says.
    """
    right = {
        "pixels": type(row.pixels) is bytes and len(row.pixels) == PIXELS,
        "probabilities": type(row.probabilities) is bytes
        and len(row.probabilities) == PROBABILITIES
        and all(0 <= share <= 1 for share in unpack("<10f", row.probabilities)),
        "digit": type(row.digit) is int and row.digit in LABELS[1:],
        "control": row.control is None or (type(row.control) is int and row.control in LABELS),
        "suggestion": row.suggestion is None
        or (type(row.suggestion) is int and row.suggestion in LABELS),
    }
    for name in ("confidence", "score", "time"):
        value = getattr(row, name)
        right[name] = isinstance(value, float) and math.isfinite(value)
    right["confidence"] = right["confidence"] and 0 <= row.confidence <= 1
    for name in ("sample", "version", "method"):
        value = getattr(row, name)
        right[name] = isinstance(value, str) and value.isprintable() and bool(value)
    for name, is_right in right.items():
        if not is_right:
            shown = repr(getattr(row, name))[:40]
            raise ValueError(f"{name} of the sample {row.sample!r} cannot be {shown}")
    return row
