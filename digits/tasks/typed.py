"""Values and parts of a configuration, written as overrides that a program types."""

from __future__ import annotations

import re
from typing import Any

from digits.tracking.record import Record

#: text that is a text without quotes in Hydra's grammar too
PLAIN = re.compile(r"(?!(?:null|true|false|nan|inf)$)[A-Za-z_/][\w./:@+-]*", re.IGNORECASE)
BUILT = ("_target_", "data.store.")  # of a group: its option brings them


def data_of(record: Record, name: str) -> list[str]:
    """Return the overrides that lead a step to the data of its task, ``name`` is its option."""
    values = {
        key: value
        for key, value in record.parameters.items()
        if key.startswith("data.") and value is not None and not any(each in key for each in BUILT)
    }
    return [f"data={name}", *(f"{key}={typed(value)}" for key, value in values.items())]


def typed(value: Any) -> str:
    """Return a value in Hydra's grammar."""
    if value is None:
        return "null"
    if isinstance(value, bool | int | float):
        return str(value).lower()
    if PLAIN.fullmatch(str(value)):
        return str(value)
    escaped = str(value).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
