"""What a model learns from: the labels of its data and of served samples, as known at a time."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from digits.data.types import CLASSES, Digits, Split
from digits.errors import FeatureError
from digits.features.ingest import name_of, samples_of
from digits.features.join import known
from digits.features.store import FeatureStore
from digits.features.views import IMAGE, KNOWN, LABELS, SAMPLE, SERVED

log = logging.getLogger(__name__)

READ = (LABELS, IMAGE)  # views that a training reads


@dataclass(frozen=True)
class TrainingSet:
    """Data whose training split is the join.

    Attributes:
        digits: validation and test are those of the data.
        as_of: the time.
        added: samples that are not of the data.
        corrected: samples of the data whose label is another now.
        dropped: samples of the data that count no more: not a digit.
    """

    digits: Digits
    as_of: datetime
    added: int
    corrected: int
    dropped: int


def training_set(store: FeatureStore, data: Digits, as_of: datetime | None = None) -> TrainingSet:
    """Join what was known of the samples of a data set, and of served ones, at a time.

    Samples of the data come first and in its order, then others by when they were first labelled.
    Where nothing was added or corrected, this is the data, bit for bit. Images that are also in
    validation or test are not learned from.

    Args:
        store: the feature store.
        data: the data set; it must have been ingested.
        as_of: the time; None: that of the store's configuration, or now.

    Raises:
        FeatureError: the data is not in the store, was not known at that time, or is damaged.
    """
    at = as_of or store.as_of or datetime.now(UTC)
    own = samples_of(data, "train")
    others = _others(store, data, at)
    samples = [*own, *others]
    labels = known(store, LABELS, samples, at, ["label"])["label"]
    pixels = known(store, IMAGE, samples, at)["pixels"]
    lacking = int((labels.isna() | pixels.isna())[: len(own)].sum())
    if lacking:
        raise FeatureError(
            f"features: of {lacking:,} of {len(own):,} training samples of {name_of(data)} label "
            f"or image is missing as of {at.isoformat()}: the store in {store.root} is damaged"
        )
    values: NDArray[np.int64] = labels.fillna(-1).to_numpy(np.int64)
    counts = (values >= 0) & (values < CLASSES) & pixels.notna().to_numpy()
    held_out = {image.tobytes() for part in (data.validation, data.test) for image in part.images}
    kept = [
        place
        for place in np.flatnonzero(counts)
        if place < len(own) or pixels[place] not in held_out
    ]
    leaked = int(counts.sum()) - len(kept)
    if leaked:
        log.warning("%d labelled samples are held-out images: not learned from.", leaked)
    added = len(kept) - int(counts[: len(own)].sum())
    kept += kept[len(kept) - added :] * (store.repeat - 1)
    train = Split(_images(pixels.iloc[kept]), values[kept])
    changed = (values[: len(own)] != data.train.labels) & counts[: len(own)]
    corrected, dropped = int(changed.sum()), int((~counts[: len(own)]).sum())
    description = data.description
    if added + corrected + dropped:
        description += f"; {added:,} added, {corrected:,} corrected, {dropped:,} left out"
    return TrainingSet(
        digits=replace(data, train=train, description=description),
        as_of=at,
        added=added,
        corrected=corrected,
        dropped=dropped,
    )


def _others(store: FeatureStore, data: Digits, at: datetime) -> list[str]:
    """Return the samples that are of no data set and had a label by then, the first one first."""
    rows = store.parts.read(LABELS, [SAMPLE, "split", KNOWN])
    own = pc.starts_with(rows[SAMPLE], f"{name_of(data)}/train/")
    first = pc.min(rows.filter(own)[KNOWN]).as_py()
    if first is None:
        raise FeatureError(
            f"features: {name_of(data)} is not in the feature store {store.root}; bring it in "
            f"with task=features and the same data"
        )
    if at < first:
        raise FeatureError(
            f"features.as_of: {at.isoformat()} is before the first label of {name_of(data)}, which "
            f"is known since {first.isoformat()}"
        )
    then = pc.and_(pc.equal(rows["split"], SERVED), pc.less_equal(rows[KNOWN], at))
    labelled = rows.filter(then).group_by(SAMPLE).aggregate([(KNOWN, "min")])
    order = [(f"{KNOWN}_min", "ascending"), (SAMPLE, "ascending")]
    found: list[str] = labelled.sort_by(order)[SAMPLE].to_pylist()
    return found


def _images(pixels: Iterable[bytes]) -> NDArray[np.uint8]:
    return np.frombuffer(b"".join(pixels), np.uint8).reshape(-1, 28, 28)
