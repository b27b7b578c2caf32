"""The values of the service: one default, wherever it is read; nonsense is named."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from digits.errors import ConfigError
from serving.settings import Settings

CONF = Path(__file__).resolve().parents[2] / "conf" / "serving" / "default.yaml"
OF_THE_PROGRAM = {"pointer", "deployment"}


def plain(tree):
    """The values alone, without Hydra's own keys."""
    if not isinstance(tree, dict):
        return tree
    return {key: plain(value) for key, value in tree.items() if not key.startswith("_")}


def test_what_hydra_composes_is_the_default_of_a_settings_file_too():
    typed = plain(yaml.safe_load(CONF.read_text()))
    defaults = Settings(pointer=Path("p")).model_dump(exclude=OF_THE_PROGRAM)
    assert typed["traffic"].pop("url").startswith("sqlite:///")
    assert defaults["traffic"].pop("url") is None  # a place of its own has only the program
    assert typed == defaults


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("host", ""),
        ("port", 70_000),
        ("workers", 0),
        ("otlp", "nonsense"),
        ("features", "https://host"),
        ("limits.request_seconds", float("inf")),
        ("limits.request_seconds", 1e300),
        ("limits.rate", 0),
        ("traffic.flush_seconds", float("nan")),
        ("challenger.percent", 101),
        ("challenger.mode", "loud"),
        ("limits.batches", 3),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_its_key(key, value):
    block, _, name = key.rpartition(".")
    values = {block: {name: value}} if block else {name: value}
    with pytest.raises(ConfigError) as refused:
        Settings.of({"pointer": "p", **values})
    assert [each.key for each in refused.value.findings] == [f"serving.{key}"]
