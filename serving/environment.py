"""Settings as variables of the environment: ``DIGITS_SERVING_LIMITS__RATE=50``.

``__`` stands between block and key, ``null`` for none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from digits.contract.pointer import Pointed
from digits.errors import ConfigError, Finding
from serving.settings import SETTINGS, Settings

PREFIX, BETWEEN = "DIGITS_SERVING_", "__"
NETWORK, WHOLE = "DIGITS_MODEL_SHA256", "DIGITS_MODEL_MANIFEST_SHA256"


def values_of(environment: Mapping[str, str], values: dict[str, Any]) -> dict[str, Any]:
    """Put what the environment describes into ``values``, which :class:`Settings` then checks.

    Raises:
        ConfigError: a block is named like a value.
    """
    for name, value in environment.items():
        if name.startswith(PREFIX) and name != SETTINGS:
            _put(values, name, value)
    return values


def as_environment(settings: Settings) -> dict[str, str]:
    """Return the variables that :func:`values_of` reads the same values from.

    Pointer, address and port are left out: they are the container's own.
    """
    values = settings.model_dump(mode="json", exclude={"pointer", "host", "port"})
    return dict(_variables(PREFIX, values))


def digests_of(model: Pointed) -> dict[str, str]:
    """Return the variables by which a container holds its bundle against what was registered."""
    found = {NETWORK: model.onnx_sha256}
    if model.manifest_sha256 is not None:
        found[WHOLE] = model.manifest_sha256
    return found


def _variables(prefix: str, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _variables(f"{prefix}{key.upper()}{BETWEEN}", value)
        else:
            yield f"{prefix}{key.upper()}", "null" if value is None else str(value)


def _put(values: dict[str, Any], name: str, value: str) -> None:
    *blocks, key = name.removeprefix(PREFIX).lower().split(BETWEEN)
    for block in blocks:
        values = values.setdefault(block, {})
        if not isinstance(values, dict):
            raise ConfigError([Finding(name, f"{block} is one value and has no keys")])
    values[key] = None if value == "null" else value
