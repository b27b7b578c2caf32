"""Schemas for editors: they take every file of conf/, and say of a wrong one where it is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from digits.config.schema import Schema, schemas

ROOT = Path(__file__).resolve().parents[2]
CONF = ROOT / "conf"
#: of Hydra, a sweeper or a search: read and checked by them
NOT_OURS = ("hydra", "tuner", "search_space")


@pytest.fixture(scope="module", name="found")
def _found() -> dict[str, tuple[Schema, list[Path]]]:
    return schemas(CONF)


def _faults(schema: Schema, content: Any) -> list[str]:
    return [
        ".".join(map(str, e.absolute_path)) for e in Draft7Validator(schema).iter_errors(content)
    ]


def test_every_file_of_a_group_has_a_schema_that_takes_it(
    found: dict[str, tuple[Schema, list[Path]]],
) -> None:
    seen = []
    for schema, files in found.values():
        Draft7Validator.check_schema(schema)
        for file in files:
            content = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
            assert _faults(schema, content) == [], file
            seen.append(file)
    ours = [file for file in CONF.glob("*/**/*.yaml") if _group(file) not in NOT_OURS]
    assert sorted(seen) == sorted(ours)


def _group(file: Path) -> str:
    return file.relative_to(CONF).parts[0]


@pytest.mark.parametrize(
    ("name", "content", "wrong"),
    [
        ("optimizer", {"_target_": "torch.optim.Adam", "lr": "fast"}, "lr"),
        ("optimizer", {"_target_": "torch.optim.Adam", "momentum": 0.9}, ""),
        ("model", {"channels": [8], "stem": "pach"}, "stem"),
        ("model", {"_target_": "digits.models.networks.LeNet", "channels": [8]}, ""),
        ("gate", {"min_accuracy": 1.5}, "min_accuracy"),
        ("trainer", {"max_epochs": 0}, "max_epochs"),
        ("augmentation", {"steps": {"affine": {"rotate": [-5, 5]}, "blur": 3}}, "steps.blur"),
        ("tree", {"loader": {"batch_size": "many"}}, "loader.batch_size"),
        ("tree", {"loader": {"batchsize": 3}}, "loader"),
        ("tree", {"loder": {"batch_size": 3}}, ""),
        ("tree", {"seed": -1}, "seed"),
    ],
)
def test_what_is_wrong_is_found_where_it_stands(
    found: dict[str, tuple[Schema, list[Path]]], name: str, content: Any, wrong: str
) -> None:
    assert set(_faults(found[name][0], content)) == {wrong}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("optimizer", {"_target_": "torch.optim.Adam", "lr": "${model.lr}"}),
        ("optimizer", {"_target_": "torch.optim.RMSprop", "alpha": 0.9}),
        ("callbacks", {"mine": {"_target_": "my.Callback", "every": 3}}),
        ("tree", {"seed": 3, "loader": {"batch_size": 32}, "features": None}),
    ],
)
def test_what_is_right_or_the_users_own_is_taken(
    found: dict[str, tuple[Schema, list[Path]]], name: str, content: Any
) -> None:
    assert _faults(found[name][0], content) == []


def test_an_editor_shows_what_the_docstring_says(
    found: dict[str, tuple[Schema, list[Path]]],
) -> None:
    (node,) = [case["then"] for case in found["tracking"][0]["allOf"] if "not" in case["if"]]
    assert node["properties"]["artifacts"]["description"].startswith("folder or object-store")


def test_the_script_writes_them_and_leaves_settings_alone(tmp_path: Path) -> None:
    settings = tmp_path / "settings.json"
    command = [sys.executable, str(ROOT / "scripts" / "write_schemas.py")]
    command += ["--folder", str(tmp_path / "made"), "--settings", str(settings)]
    subprocess.run(command, check=True, capture_output=True)
    mapping = json.loads(settings.read_text())["yaml.schemas"]
    (trainers,) = [file for file in mapping if file.endswith("/trainer.json")]
    assert "conf/trainer/cpu.yaml" in mapping[trainers]
    assert json.loads(Path(trainers).read_text())["title"] == "trainer"
    settings.write_text("{}")
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert settings.read_text() == "{}"
    assert "is yours and left as it is" in done.stdout
