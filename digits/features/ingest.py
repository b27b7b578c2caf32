"""Bringing a data set into the feature store: images, shape features, labels."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits.data.types import Digits
from digits.features.parts import table_of
from digits.features.shape import SHAPE_NAMES, shape_features
from digits.features.store import FeatureStore
from digits.features.views import EMBEDDING, IMAGE, LABELS, PACKED, SHAPE

#: images uint8 [N, 28, 28] -> embeddings float32 [N, E]
Embed = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
SPLITS = ("train", "validation", "test")
SHOWN = 12  # characters of a digest

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ingested:
    """What came of it.

    Attributes:
        data: name and digest, as samples are named by.
        samples: how many it has.
        is_new: False where they were all there.
    """

    data: str
    samples: int
    is_new: bool


def name_of(data: Digits) -> str:
    """Return how the samples of a data set are named: ``<name>/<digest>`` and split and index."""
    return f"{data.name}/{data.digest[:SHOWN]}"


def samples_of(data: Digits, split: str) -> list[str]:
    """Return the ids of the samples of a split, in its order."""
    return [f"{name_of(data)}/{split}/{index}" for index in range(len(getattr(data, split)))]


def ingest(
    store: FeatureStore,
    data: Digits,
    *,
    embed: Embed | None = None,
    model: str | None = None,
    moment: datetime | None = None,
) -> Ingested:
    """Add the three splits of a data set; what is there already is left as it is.

    The labels are written last: killed before, the data is not there, and comes with the next
    call.

    Args:
        store: the feature store.
        data: the data set.
        embed: a model's embedding; None: none.
        model: name of that model.
        moment: since when the labels are known; None: now.

    Raises:
        FeatureError: the store cannot be written.
    """
    name, known = name_of(data), moment or datetime.now(UTC)
    part = name.replace("/", "-")
    samples = [sample for split in SPLITS for sample in samples_of(data, split)]
    images = np.concatenate([getattr(data, split).images for split in SPLITS])
    parts = store.parts
    with parts.locked():
        is_new = not parts.has(LABELS, part)
        if is_new and parts.has(IMAGE, part):
            log.warning("Bringing in %s was stopped half-way; it is done again.", name)
        if is_new:
            parts.write(IMAGE, part, table_of(IMAGE, samples, of_pixels(images), known))
            parts.write(SHAPE, part, table_of(SHAPE, samples, of_shape(images), known))
            labels = np.concatenate([getattr(data, split).labels for split in SPLITS])
            table = table_of(LABELS, samples, _of_labels(data, labels), known)
        if embed is not None:
            own = f"{part}-{(model or '').replace('/', '-')}"
            if not parts.has(EMBEDDING, own):
                columns = of_embeddings(embed(images), model or "")
                parts.write(EMBEDDING, own, table_of(EMBEDDING, samples, columns, known))
        if is_new:
            parts.write(LABELS, part, table)
    return Ingested(name, len(samples), is_new)


def of_pixels(images: NDArray[np.uint8]) -> dict[str, Any]:
    """Return the columns of the view of images."""
    return {"pixels": [image.tobytes() for image in images]}


def of_shape(images: NDArray[np.uint8]) -> dict[str, Any]:
    """Return the columns of the view of shape features: each of them, and all packed."""
    found = shape_features(images)
    packed = [row.tobytes() for row in found.astype("<f4", copy=False)]
    return {**dict(zip(SHAPE_NAMES, found.T, strict=True)), PACKED: packed}


def of_embeddings(embeddings: NDArray[np.float32], model: str) -> Mapping[str, Any]:
    """Return the columns of the view of embeddings."""
    values = [row.tobytes() for row in embeddings.astype("<f4", copy=False)]
    return {"values": values, "model": [model] * len(values)}


def _of_labels(data: Digits, labels: NDArray[np.int64]) -> dict[str, Any]:
    sizes = [len(getattr(data, split)) for split in SPLITS]
    return {
        "label": labels,
        "origin": ["original"] * len(labels),
        "labeller": [""] * len(labels),
        "split": [split for split, size in zip(SPLITS, sizes, strict=True) for _ in range(size)],
    }
