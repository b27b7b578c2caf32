"""The online side: the newest of each sample, found in a millisecond; an older row changes nothing.

SQLite and PostgreSQL would take whatever comes last. So the times that are there are read first,
by one process at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from digits.features.parts import newest
from digits.features.shape import SHAPE_NAMES
from digits.features.store import FeatureStore
from digits.features.views import KNOWN, PACKED, SAMPLE, SHAPE, VIEWS, WRITTEN, View

CHUNK = 5000  # samples at a time: a moderate amount of memory

Tell = Callable[[str], None]


def write(store: FeatureStore, view: View, table: pa.Table) -> int:
    """Write rows of a view online, but for those that are older than what is there.

    The caller holds the lock of the parts.

    Args:
        store: the feature store.
        view: the view.
        table: rows, several of a sample too: its newest counts.

    Returns:
        How many samples were written.

    Raises:
        FeatureError: the online store does not answer.
    """
    last = newest(table.select([SAMPLE, *view.online, KNOWN, WRITTEN]))
    count = 0
    with store.connected() as feast:
        for begin in range(0, len(last), CHUNK):
            rows = last.slice(begin, CHUNK)
            there = _times(feast, view, rows[SAMPLE].to_pylist())
            is_new = [
                old is None or old <= new
                for old, new in zip(there, rows[KNOWN].to_pylist(), strict=True)
            ]
            rows = rows.filter(pa.array(is_new, pa.bool_()))
            if len(rows):
                feast.write_to_online_store(view.online_name, df=rows.to_pandas())
            count += len(rows)
    return count


def materialize(
    store: FeatureStore, views: Sequence[View], tell: Tell = lambda name: None
) -> dict[str, int]:
    """Bring the newest of every sample online.

    Args:
        store: the feature store.
        views: which views.
        tell: is called with the name of each view that is done.

    Returns:
        View -> samples written.

    Raises:
        FeatureError: the online store does not answer.
    """
    written = {}
    store.feast  # noqa: B018 - opened before the lock, which opening takes too
    with store.parts.locked():
        for view in views:
            written[view.name] = write(store, view, store.parts.read(view))
            tell(view.name)
    return written


def look_up(store: FeatureStore, sample: str) -> dict[str, dict[str, Any]]:
    """Return all that is known of a sample: view -> field -> value; views without it are left out.

    The shape features are unpacked: name -> number.

    Raises:
        FeatureError: the online store does not answer.
    """
    wanted = [f"{view.online_name}:{name}" for view in VIEWS.values() for name in view.online]
    with store.connected() as feast:
        found = feast.get_online_features(
            features=wanted, entity_rows=[{SAMPLE: sample}], full_feature_names=True
        ).to_dict()
    known = {}
    for view in VIEWS.values():
        values = {name: found[f"{view.online_name}__{name}"][0] for name in view.online}
        if any(value is not None for value in values.values()):
            known[view.name] = _unpacked(values[PACKED]) if view is SHAPE else values
    return known


def _unpacked(content: bytes) -> dict[str, float]:
    return dict(zip(SHAPE_NAMES, np.frombuffer(content, "<f4").tolist(), strict=True))


def _times(feast: Any, view: View, samples: Sequence[str]) -> list[datetime | None]:
    """Return since when the online row of each sample is known; None where there is none."""
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import Value

    keys = [
        EntityKey(join_keys=[SAMPLE], entity_values=[Value(string_val=sample)])
        for sample in samples
    ]
    table = feast.get_feature_view(view.online_name)
    found = feast._get_provider().online_read(
        feast.config, table, keys, requested_features=[view.online[0]]
    )
    return [time for time, _ in found]
