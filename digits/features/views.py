"""What the feature store holds of a sample: its views, and the Parquet columns that each is of.

Every row has the time since which it is known, and nothing is ever changed: what becomes known
later is a further row. So what was known at any time can be told at any later one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from digits.features.shape import SHAPE_FEATURES

SAMPLE = "sample"
KNOWN = "event_timestamp"  # since when, UTC
WRITTEN = "created"  # of two rows known since the same moment, the one written last counts
PACKED = "packed"
MOMENT = pa.timestamp("us", tz="UTC")

NOT_A_DIGIT = -1
SERVED = "served"  # the split of what is of no data set
WITHDRAWN = -2  # there was a label, and it does not count any more


@dataclass(frozen=True, eq=False)
class View:
    """One kind of knowledge.

    Attributes:
        name: of the view.
        description: what it is.
        fields: name -> (type, what it is).
        online: fields that are kept in the online store.
        packed: further columns of the parts, which only the online store reads.
        aside: further columns of the parts, which are no features.
    """

    name: str
    description: str
    fields: Mapping[str, tuple[pa.DataType, str]]
    online: tuple[str, ...]
    packed: Mapping[str, tuple[pa.DataType, str]]
    aside: Mapping[str, tuple[pa.DataType, str]]

    @property
    def columns(self) -> dict[str, tuple[pa.DataType, str]]:
        """All that a part holds beside sample and times."""
        return {**self.fields, **self.packed, **self.aside}

    @property
    def online_name(self) -> str:
        """Name of the view that the online store has."""
        return f"{self.name}_online" if self.packed else self.name

    @property
    def schema(self) -> pa.Schema:
        """Of the view's Parquet parts."""
        fields = [(name, kind) for name, (kind, _) in self.columns.items()]
        return pa.schema([(SAMPLE, pa.string()), *fields, (KNOWN, MOMENT), (WRITTEN, MOMENT)])


def _view(
    name: str,
    description: str,
    fields: Mapping[str, tuple[pa.DataType, str]],
    packed: Mapping[str, tuple[pa.DataType, str]] | None = None,
    aside: Mapping[str, tuple[pa.DataType, str]] | None = None,
) -> View:
    return View(name, description, fields, tuple(packed or fields), packed or {}, aside or {})


LABELS = _view(
    "labels",
    "What digit it is, as far as known: a correction is a further row from its time on",
    {
        "label": (pa.int32(), "0..9; -1: not a digit; -2: what was said does not count any more"),
        "origin": (pa.string(), "original: came with the data; person: confirmed on the page"),
        "labeller": (pa.string(), "who confirmed it; empty for an original label"),
    },
    aside={
        "split": (pa.string(), "train, validation or test of its data; served: of the service"),
    },
)
# Thirty numbers are thirty rows of an online table for each sample; packed they are one.
SHAPE = _view(
    "shape",
    "Shape features of the pixels",
    {name: (pa.float32(), text) for name, text in SHAPE_FEATURES.items()},
    {PACKED: (pa.binary(), "all of them, float32 little-endian in the order of the view")},
)
IMAGE = _view(
    "image", "The pixels", {"pixels": (pa.binary(), "uint8 [28, 28] row by row, 784 bytes")}
)
EMBEDDING = _view(
    "embedding",
    "Where a model's embedding puts it",
    {
        "values": (pa.binary(), "float32 [E] little-endian"),
        "model": (pa.string(), "the model, <name>/<number>"),
    },
)
PREDICTIONS = _view(
    "predictions",
    "What the service answered",
    {
        "digit": (pa.int32(), "the likeliest, 0..9"),
        "confidence": (pa.float32(), "its probability"),
        "probabilities": (pa.binary(), "float32 [10] little-endian"),
        "version": (pa.string(), "of the model, <name>/<number>"),
        "deployment": (pa.string(), "id of the deployment that answered"),
    },
)
VIEWS: Mapping[str, View] = {
    view.name: view for view in (LABELS, SHAPE, IMAGE, EMBEDDING, PREDICTIONS)
}
