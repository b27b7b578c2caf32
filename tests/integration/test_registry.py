"""Bundles that appear whole or not at all, and versions made of them."""

from __future__ import annotations

import functools
import json

import mlflow
import numpy as np
import onnx
import pytest
import safetensors.torch
import torch
from google.protobuf.message import DecodeError
from mlflow.exceptions import MlflowException

from digits.contract.manifest import Manifest, verify
from digits.contract.preprocessing import Preprocessing
from digits.errors import RegistryError
from digits.models.networks import Tiny
from digits.registry.versions import BUNDLE, register
from digits.training.export import onnx_answers

STANDARD = Preprocessing()


def test_bundle_is_whole_and_verified(make, tmp_path, network, digits):
    folder = tmp_path / "bundle"
    manifest = make(folder)
    assert verify(folder) == manifest == Manifest.read(folder)
    assert set(manifest.files) == {"model.onnx", "weights.safetensors", "config.yaml"}
    assert manifest.parameters == sum(weights.numel() for weights in network.parameters())
    assert manifest.preprocess() == STANDARD
    assert (manifest.data_digest, manifest.run_id) == (digits.digest, "r")
    assert {"temperature", "abstention", "dry_run", "gradient.onnx"} <= set(manifest.lacking())
    assert [entry.name for entry in tmp_path.iterdir()] == ["bundle"]


def test_graph_of_a_bundle_needs_no_other_file(make, tmp_path, digits):
    make(tmp_path / "bundle")
    assert not [file for file in (tmp_path / "bundle").iterdir() if ".data" in file.name]
    model = onnx.load(tmp_path / "bundle" / "model.onnx", load_external_data=False)
    assert not [tensor.name for tensor in model.graph.initializer if tensor.external_data]
    alone = tmp_path / "alone.onnx"
    (tmp_path / "bundle" / "model.onnx").rename(alone)
    assert onnx_answers(alone, digits.test.images).shape == (80, 10)


def test_weights_of_a_bundle_are_the_networks(make, tmp_path, network):
    make(tmp_path / "bundle")
    copy = Tiny([4, 8], pool_after=[1])
    safetensors.torch.load_model(copy, str(tmp_path / "bundle" / "weights.safetensors"))
    for name, value in network.state_dict().items():
        assert torch.equal(copy.state_dict()[name], value)


def test_graph_that_cannot_be_read_leaves_nothing(make, tmp_path_factory, tmp_path):
    half = tmp_path_factory.mktemp("graph") / "model.onnx"
    half.write_bytes(b"half")
    with pytest.raises(DecodeError):
        make(tmp_path / "bundle", graph=half)
    assert not list(tmp_path.iterdir())


def test_what_a_killed_process_left_is_cleared_away(make, tmp_path):
    (tmp_path / ".bundle.dead" / "bundle").mkdir(parents=True)
    make(tmp_path / "bundle")
    assert [entry.name for entry in tmp_path.iterdir()] == ["bundle"]


def test_failure_keeps_the_bundle_that_was_there(make, tmp_path):
    make(tmp_path / "bundle", run_id="first")

    with pytest.raises(FileNotFoundError):
        make(tmp_path / "bundle", run_id="second", graph=tmp_path / "nowhere.onnx")
    assert verify(tmp_path / "bundle").run_id == "first"
    make(tmp_path / "bundle", run_id="third")
    assert verify(tmp_path / "bundle").run_id == "third"


def test_folder_of_a_bundle_is_readable_for_others(make, tmp_path):
    make(tmp_path / "bundle")
    assert (tmp_path / "bundle").stat().st_mode & 0o055 == 0o055


def test_version_has_tags_and_is_the_challenger(stored, digits):
    client, run_id, manifest = stored
    version = register(client, name="digits", run_id=run_id, manifest=manifest)
    assert str(version) == "digits version 1"
    found = client.get_model_version_by_alias("digits", "challenger")
    assert int(found.version) == version.number
    assert found.run_id == run_id
    assert found.tags == {
        "accuracy": "0.987654",
        "onnx_sha256": manifest.files["model.onnx"],
        "weights_sha256": manifest.files["weights.safetensors"],
        "manifest_sha256": manifest.sha256,
        "data_name": "bars",
        "data_digest": digits.digest,
        "parameters": str(manifest.parameters),
        "schema_version": "1",
    }


def test_run_registers_once(stored):
    client, run_id, manifest = stored
    register_it = functools.partial(
        register, client, name="digits", run_id=run_id, manifest=manifest
    )
    assert register_it() == register_it()
    assert len(client.search_model_versions("name='digits'")) == 1


def test_run_resumed_after_its_registration_leaves_a_newer_challenger_alone(stored):
    client, run_id, manifest = stored
    register(client, name="digits", run_id=run_id, manifest=manifest)
    newer = manifest.model_copy(update={"files": manifest.files | {"model.onnx": "1" * 64}})
    register(client, name="digits", run_id=run_id, manifest=newer)
    assert register(client, name="digits", run_id=run_id, manifest=manifest).number == 1
    assert client.get_model_version_by_alias("digits", "challenger").version == 2


def test_changed_model_of_a_run_is_another_version(stored):
    client, run_id, manifest = stored
    register(client, name="digits", run_id=run_id, manifest=manifest)
    files = manifest.files | {"model.onnx": "0" * 64}
    other = manifest.model_copy(update={"files": files})
    assert register(client, name="digits", run_id=run_id, manifest=other).number == 2
    assert client.get_model_version_by_alias("digits", "challenger").version == 2


def test_pyfunc_loads_the_challenger_and_answers_alike(stored, digits, store, monkeypatch, caplog):
    client, run_id, manifest = stored
    register(client, name="digits", run_id=run_id, manifest=manifest)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    model = mlflow.pyfunc.load_model("models:/digits@challenger")
    images = digits.test.images
    logits = model.predict({"pixels": images})["logits"]
    local = client.download_artifacts(run_id, f"{BUNDLE}/model.onnx")
    np.testing.assert_allclose(logits, onnx_answers(local, images), rtol=1e-4, atol=1e-5)
    assert model.metadata.signature.inputs.input_names() == ["pixels"]
    assert caplog.messages == []


def test_downloaded_version_is_still_verified(stored, tmp_path):
    client, run_id, manifest = stored
    version = register(client, name="digits", run_id=run_id, manifest=manifest)
    source = client.get_model_version_download_uri("digits", str(version.number))
    assert source.endswith(f"/{BUNDLE}")
    folder = client.download_artifacts(run_id, BUNDLE, str(tmp_path))
    assert verify(tmp_path / BUNDLE) == manifest
    assert json.loads((tmp_path / BUNDLE / "manifest.json").read_text())["run_id"] == run_id
    assert folder


def test_refusing_registry_leaves_no_version(stored, monkeypatch):
    client, run_id, manifest = stored

    def refuse(*arguments, **options):
        raise MlflowException("no space in the registry")

    monkeypatch.setattr(client, "create_model_version", refuse)
    with pytest.raises(RegistryError, match=r"registry\.name: .*digits: no space"):
        register(client, name="digits", run_id=run_id, manifest=manifest)
    assert client.search_model_versions("name='digits'") == []


def test_name_that_no_registry_takes_is_an_error(stored):
    client, run_id, manifest = stored
    with pytest.raises(RegistryError, match=r"registry\.name: cannot register a/b"):
        register(client, name="a/b", run_id=run_id, manifest=manifest)
