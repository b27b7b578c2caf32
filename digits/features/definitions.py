"""The views as Feast's objects: defined here, in Python, and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pyarrow as pa
from feast import Entity, FeatureService, FeatureView, Field, FileSource, PushSource, ValueType
from feast.types import Bytes, Float32, Int32, String

from digits.features.parts import Parts
from digits.features.views import KNOWN, SAMPLE, SHAPE, VIEWS, WRITTEN, View

TYPES = {pa.int32(): Int32, pa.float32(): Float32, pa.string(): String, pa.binary(): Bytes}
FOREVER = timedelta(0)  # Feast's word for: a row does not expire


def entity() -> Entity:
    """Return what everything is about."""
    return Entity(
        name=SAMPLE,
        join_keys=[SAMPLE],
        value_type=ValueType.STRING,
        description="One image: id of a prediction, or <data>/<digest>/<split>/<index>",
    )


def definitions(parts: Parts) -> list[Any]:
    """Return the entity and all views, over these parts."""
    sample = entity()
    views = [_view(view, sample, parts) for view in VIEWS.values()]
    return [sample, *views, _view(SHAPE, sample, parts, packed=True)]


def service(name: str, features: Sequence[View], parts: Parts, tags: dict[str, str]) -> Any:
    """Return the feature service of a model version: what it learned from."""
    sample = entity()
    return FeatureService(
        name=name, features=[_view(view, sample, parts) for view in features], tags=tags
    )


def _view(view: View, sample: Entity, parts: Parts, *, packed: bool = False) -> FeatureView:
    name = view.online_name if packed else view.name
    fields = view.packed if packed else view.fields
    source = FileSource(
        name=f"{name}_parts",
        path=str(parts.folder(view)),
        timestamp_field=KNOWN,
        created_timestamp_column=WRITTEN,
    )
    return FeatureView(
        name=name,
        description=view.description,
        entities=[sample],
        ttl=FOREVER,
        schema=[
            Field(name=field, dtype=TYPES[kind], description=text)
            for field, (kind, text) in fields.items()
        ],
        source=PushSource(name=f"{name}_pushed", batch_source=source),
        online=packed or not view.packed,
    )
