"""The manifest of a bundle, and what it refuses."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime

import numpy as np
import pytest

from digits.contract.manifest import (
    MANIFEST,
    SCHEMA_VERSION,
    Abstention,
    DryRun,
    Manifest,
    verify,
)
from digits.contract.preprocessing import Preprocessing
from digits.errors import RegistryError

CONTENT = {"model.onnx": b"graph", "weights.safetensors": b"weights"}


def manifest(**changes):
    fields = {
        "schema_version": SCHEMA_VERSION,
        "created": datetime(2020, 1, 2, tzinfo=UTC),
        "labels": [str(digit) for digit in range(10)],
        "input": {"name": "pixels", "dtype": "uint8", "shape": [-1, 28, 28]},
        "output": {"name": "logits", "dtype": "float32", "shape": [-1, 10]},
        "preprocessing": Preprocessing().to_dict(),
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in CONTENT.items()},
        "parameters": 5,
        "data_name": "uci",
        "data_digest": "d",
        "run_id": "r",
        "metrics": {"test/accuracy": 0.5},
    }
    return Manifest(**(fields | changes))


@pytest.fixture
def bundle(tmp_path):
    for name, content in CONTENT.items():
        (tmp_path / name).write_bytes(content)
    manifest().write(tmp_path)
    return tmp_path


def rewritten(folder, change):
    data = json.loads((folder / MANIFEST).read_text())
    change(data)
    (folder / MANIFEST).write_text(json.dumps(data))


def test_manifest_is_read_as_it_was_written(bundle):
    assert Manifest.read(bundle) == manifest()
    assert Manifest.read(bundle).preprocess() == Preprocessing()


def test_whole_bundle_is_verified(bundle):
    assert verify(bundle) == manifest()


@pytest.mark.parametrize("name", CONTENT)
def test_changed_file_is_named(bundle, name):
    (bundle / name).write_bytes(b"other")
    with pytest.raises(RegistryError, match=rf"{name} was changed"):
        verify(bundle)


@pytest.mark.parametrize("name", CONTENT)
def test_missing_file_is_named(bundle, name):
    (bundle / name).unlink()
    with pytest.raises(RegistryError, match=f"{name} is missing"):
        verify(bundle)


def test_file_outside_the_bundle_is_refused(bundle):
    outside = bundle.parent / "outside"
    outside.write_bytes(b"graph")
    digest = hashlib.sha256(b"graph").hexdigest()
    rewritten(bundle, lambda data: data["files"].update({"../outside": digest}))
    with pytest.raises(RegistryError, match="outside is missing from the bundle"):
        verify(bundle)


def test_newer_schema_is_refused_even_where_its_fields_do_not_read(bundle):
    rewritten(bundle, lambda data: data.update(schema_version=SCHEMA_VERSION + 1, labels=7))
    with pytest.raises(RegistryError, match=r"schema version 2; this installation reads up to 1"):
        Manifest.read(bundle)


def test_older_manifest_without_optional_parts_says_what_it_lacks(bundle):
    def strip(data):
        del data["temperature"], data["metrics"]

    rewritten(bundle, strip)
    old = Manifest.read(bundle)
    assert old.temperature is None
    files = ["answer.onnx", "gradient.onnx", "neighbours.npz"]
    assert old.lacking() == ["metrics", "temperature", "abstention", "dry_run", *files]


def test_whole_manifest_lacks_nothing():
    abstention = Abstention(threshold=0.5, refused=0.004, caught=0.95)
    dry_run = DryRun.of(np.arange(784).reshape(28, 28).astype(np.uint8), 7)
    files = dict.fromkeys(("answer.onnx", "gradient.onnx", "neighbours.npz"), "0" * 64)
    whole = manifest(temperature=1.5, abstention=abstention, dry_run=dry_run, files=files)
    assert whole.lacking() == []
    again = Manifest.model_validate_json(whole.model_dump_json())
    assert again == whole
    assert again.dry_run.image[27, 27] == 783 % 256


def test_parts_of_later_work_do_not_disturb(bundle):
    rewritten(bundle, lambda data: data.update(embedding="embedding.onnx"))
    assert Manifest.read(bundle) == manifest()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "damaged: JSON"),
        ("{}", "damaged: schema_version: Field required"),
        ('{"schema_version": 1}', "damaged: created: Field required"),
        ("\xff", "damaged: JSON"),
    ],
)
def test_damaged_manifest_is_named_with_its_place(bundle, content, message):
    (bundle / MANIFEST).write_bytes(content.encode("latin-1"))
    with pytest.raises(RegistryError, match=message) as caught:
        Manifest.read(bundle)
    assert str(bundle / MANIFEST) in str(caught.value)


def test_folder_without_manifest_is_no_bundle(tmp_path):
    with pytest.raises(RegistryError, match="not a model bundle"):
        Manifest.read(tmp_path)
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(RegistryError, match="not a model bundle"):
        Manifest.read(file)
