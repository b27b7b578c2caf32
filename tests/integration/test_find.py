"""Finding the model that ``version=`` names, and rebuilding its network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from digits.contract.manifest import Manifest, sha256_of
from digits.errors import RegistryError
from digits.registry.find import find_model
from digits.registry.versions import register
from digits.tasks.trained import trained_network
from digits.training.export import onnx_answers
from digits.training.fit import answers


@pytest.fixture
def registered(stored):
    """A registered version: (client, run id, manifest)."""
    client, run_id, manifest = stored
    register(client, name="digits", run_id=run_id, manifest=manifest)
    return stored


@pytest.fixture
def find(registered, tmp_path):
    client, _, _ = registered
    return lambda wanted: find_model(client, wanted, name="digits", cache=tmp_path / "cache")


def test_alias_number_run_and_folders_name_the_same_model(find, registered, record):
    _, run_id, manifest = registered
    names = ["challenger", "1", run_id, str(record.folder), str(record.folder / "bundle")]
    models = [find(name) for name in names]
    assert {str(each) for each in models} == {"digits version 1"}
    assert all(each.manifest == manifest for each in models)


def test_bundle_that_is_not_registered_is_found_without_a_version(make, stored, tmp_path):
    client, _, _ = stored
    make(tmp_path / "other", run_id="f" * 32)
    model = find_model(client, str(tmp_path / "other"), name="digits", cache=tmp_path / "cache")
    assert model.version is None
    assert str(model) == str(tmp_path / "other")


def test_any_part_that_was_changed_with_its_digest_is_refused(find):
    folder = find("1").folder
    Manifest.read(folder).model_copy(update={"temperature": 9.0}).write(folder)
    with pytest.raises(RegistryError, match="not the one that was registered"):
        find("1")


def test_fetched_bundle_is_kept_and_a_damaged_one_fetched_again(find):
    folder = find("1").folder
    file = folder / "model.onnx"
    whole, before = file.read_bytes(), file.stat().st_mtime_ns
    assert find("challenger").folder == folder
    assert file.stat().st_mtime_ns == before
    file.write_bytes(b"damaged")
    assert find("1").folder == folder
    assert file.read_bytes() == whole


@pytest.mark.parametrize("wanted", ["champion", "7", "a" * 32, "0", "no/such/folder", ""])
def test_unknown_version_is_refused_with_what_there_is(find, wanted):
    with pytest.raises(RegistryError, match=r"^version: .*challenger \(1\); versions: 1;"):
        find(wanted)


def test_model_that_nobody_has_registered_is_named(stored, tmp_path):
    client, _, _ = stored
    with pytest.raises(RegistryError, match="no model letters is registered"):
        find_model(client, "champion", name="letters", cache=tmp_path)


def test_folder_that_is_no_bundle_is_refused(find, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(RegistryError, match="neither a model bundle nor"):
        find(str(tmp_path / "empty"))


def test_model_other_than_the_registered_one_is_refused(find, registered):
    client, _, _ = registered
    client.set_model_version_tag("digits", "1", "weights_sha256", "0" * 64)
    with pytest.raises(RegistryError, match=r"version 1: the weights.safetensors .* 0{64} was"):
        find("1")


def test_graph_that_was_put_into_a_stored_bundle_is_refused(find, registered, record):
    client, run_id, manifest = registered
    bundle = Path(client.get_run(run_id).info.artifact_uri.removeprefix("file://"), "bundle")
    (bundle / "answer.onnx").write_bytes(b"another")
    digest = sha256_of(bundle / "answer.onnx")
    manifest.model_copy(update={"files": manifest.files | {"answer.onnx": digest}}).write(bundle)
    with pytest.raises(RegistryError, match=rf"the answer\.onnx .* {digest}, but None was"):
        find("1")


def test_stored_bundle_that_was_damaged_is_refused_by_name(find, registered, record):
    client, run_id, _ = registered
    artifacts = client.get_run(run_id).info.artifact_uri.removeprefix("file://")
    with Path(artifacts, "bundle", "weights.safetensors").open("ab") as file:
        file.write(b"!")
    with pytest.raises(RegistryError, match=r"weights\.safetensors was changed"):
        find("1")


def test_rebuilt_network_answers_as_the_graph(find, digits):
    model = find("1")
    network = trained_network(model.folder, model.manifest)
    images = digits.test.images
    graph = onnx_answers(model.folder / "model.onnx", images)
    np.testing.assert_allclose(answers(network, images), graph, rtol=1e-4, atol=1e-4)
    assert not network.training
    assert not any(weights.requires_grad for weights in network.parameters())


def test_rebuilt_network_is_differentiable_in_its_pixels(find, digits):
    model = find("1")
    network = trained_network(model.folder, model.manifest)
    pixels = torch.from_numpy(digits.test.images[:2]).float().requires_grad_()
    network(pixels).max(1).values.sum().backward()
    assert pixels.grad is not None and pixels.grad.abs().sum() > 0


def test_bundle_without_configuration_says_that_it_is_older(find):
    model = find("1")
    files = {name: each for name, each in model.manifest.files.items() if name != "config.yaml"}
    older = model.manifest.model_copy(update={"files": files})
    with pytest.raises(RegistryError, match=r"has no config\.yaml"):
        trained_network(model.folder, older)


def test_weights_of_another_network_are_refused(find):
    model = find("1")
    config = model.folder / "config.yaml"
    config.write_text(config.read_text().replace("[4, 8]", "[4, 4]"))
    with pytest.raises(RegistryError, match=r"does not fit its config\.yaml"):
        trained_network(model.folder, model.manifest)
