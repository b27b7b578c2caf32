"""The point-in-time join: what was known of samples at a time; no row is lost or moved.

Feast's own join loses a sample whose rows are all of a later time, and gives the others in another
order. Here every sample that was asked for is in its place, and what was not known of it is null.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from digits.errors import FeatureError
from digits.features.store import FeatureStore
from digits.features.views import KNOWN, SAMPLE, View


def known(
    store: FeatureStore,
    view: View,
    samples: Sequence[str],
    at: datetime,
    fields: Sequence[str] | None = None,
) -> Any:
    """Return what was known of samples at a time, that time included.

    Args:
        store: the feature store.
        view: one of its views.
        samples: ids, in any order, also several times.
        at: the time.
        fields: of the view; None: all.

    Returns:
        A pandas DataFrame with a column for each field and a row for each of ``samples``, in their
        order, numbered from 0; null where nothing was known.

    Raises:
        FeatureError: Feast gave other rows than it was asked for.
    """
    import pandas as pd

    names = list(view.fields if fields is None else fields)
    wanted = pd.Index(samples)
    asked = pd.DataFrame({SAMPLE: wanted.unique(), KNOWN: pd.Timestamp(at)})
    found = store.feast.get_historical_features(
        entity_df=asked, features=[f"{view.name}:{name}" for name in names]
    ).to_df()
    rows = found.set_index(SAMPLE)[names]
    if not rows.index.is_unique or not rows.index.isin(wanted).all():
        raise FeatureError(
            f"features: the join over {view.name} gave {len(rows):,} rows for {len(asked):,} "
            f"samples, some twice or of others"
        )
    return rows.reindex(wanted).reset_index(drop=True)
