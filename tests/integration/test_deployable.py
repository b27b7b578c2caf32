"""What cannot be deployed is said before anything is made."""

from __future__ import annotations

import json

import pytest

from digits.contract.manifest import MANIFEST, ONNX, Manifest
from digits.deployment.checks import check_bundle, check_folder
from digits.deployment.ledger import LEDGER, Ledger
from digits.deployment.resolve import pointed
from digits.errors import DeploymentError, RegistryError
from digits.registry.find import Model


@pytest.fixture
def without_network(make, tmp_path):
    """A bundle of weights alone, whole otherwise."""
    folder = tmp_path / "bundle"
    make(folder)
    content = json.loads((folder / MANIFEST).read_text())
    del content["files"][ONNX]
    (folder / MANIFEST).write_text(json.dumps(content))
    (folder / ONNX).unlink()
    return folder


def test_a_version_without_onnx_is_refused(without_network):
    with pytest.raises(DeploymentError, match=r"has no model\.onnx, and nothing else"):
        check_bundle(without_network)
    model = Model(without_network, Manifest.read(without_network), None)
    with pytest.raises(RegistryError, match=r"has no model\.onnx, and nothing else"):
        pointed(model, "digits", alias=None)


def test_a_damaged_bundle_is_refused(make, tmp_path):
    make(tmp_path / "bundle")
    assert ONNX in check_bundle(tmp_path / "bundle").files
    with (tmp_path / "bundle" / ONNX).open("ab") as file:
        file.write(b"!")
    with pytest.raises(RegistryError, match="was changed"):
        check_bundle(tmp_path / "bundle")


def test_a_folder_with_something_else_is_left_alone(tmp_path):
    folder = tmp_path / "folder"
    check_folder(folder)
    folder.mkdir()
    check_folder(folder)
    (folder / "mine").touch()
    with pytest.raises(DeploymentError, match="holds something else"):
        check_folder(folder)
    Ledger(folder).making("container", "digits")
    check_folder(folder)
    (folder / LEDGER).write_text("{")
    with pytest.raises(DeploymentError, match="is no ledger"):
        check_folder(folder)
