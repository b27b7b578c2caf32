"""The archive for TorchServe, and what is said where TorchServe cannot run; no Java starts here."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import zipfile

import pytest

from digits.contract.manifest import MANIFEST, ONNX, sha256_of
from digits.contract.pointer import Pointed
from digits.deployment.torchserve import command
from digits.deployment.torchserve.addresses import choose
from digits.deployment.torchserve.archive import archive_name, write_archive
from digits.deployment.torchserve.target import TorchServe
from digits.errors import ConfigError, DeploymentError, MissingExtraError, RegistryError

#: asks the handler as a worker of TorchServe does, with TorchServe's own context
WORKER = """
import json, sys
from ts.context import Context, RequestProcessor
import digits, serving
from serving.torchserve_handler import Handler
place = sys.argv[1]
assert digits.__file__.startswith(place) and serving.__file__.startswith(place)
manifest = json.load(open(place + "/MAR-INF/MANIFEST.json"))
context = Context("digits", place, manifest, 2, None, "0.12.0")
handler = Handler()
handler.initialize(context)
context.request_ids = {0: "first", 1: "second"}
kind = {"Content-Type": "application/octet-stream"}
context.request_processor = [RequestProcessor(dict(kind)) for _ in range(2)]
bodies = handler.handle([{"body": bytearray(784)}, {"body": bytearray(783)}], context)
answers = [(context.get_response_status(i)[0], json.loads(b)) for i, b in enumerate(bodies)]
print(json.dumps(answers))
"""


@pytest.fixture
def model(make, tmp_path):
    make(tmp_path / "bundle")
    return pointed(tmp_path / "bundle")


def pointed(bundle, number=3):
    return Pointed(
        name="digits",
        number=number,
        folder=bundle,
        onnx_sha256=sha256_of(bundle / ONNX),
        manifest_sha256=sha256_of(bundle / MANIFEST),
    )


def test_archive_of_a_version_is_the_same_each_time(model, make, tmp_path):
    for name in ("first", "second"):
        write_archive(model, tmp_path / name)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()
    assert archive_name(model) == archive_name(model.model_copy(update={"alias": "champion"}))
    make(tmp_path / "other", run_id="another")
    assert archive_name(pointed(tmp_path / "other")) != archive_name(model)


def test_archive_needs_no_code_beside_it_and_answers_a_batch_one_by_one(model, tmp_path):
    pytest.importorskip("ts", reason="the extra torchserve is not installed")
    write_archive(model, tmp_path / "digits.mar")
    with zipfile.ZipFile(tmp_path / "digits.mar") as archive:
        archive.extractall(tmp_path / "unpacked")
    done = subprocess.run(
        [sys.executable, "-c", WORKER, str(tmp_path / "unpacked")],
        env=os.environ | {"PYTHONPATH": str(tmp_path / "unpacked")},
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    right, wrong = json.loads(done.stdout.splitlines()[-1])
    assert right[0] == 200 and right[1]["version"] == "digits/3"
    assert wrong[0] == 422 and wrong[1]["code"] == "bad_shape"
    assert wrong[1]["request_id"] == "second"


def test_archive_says_what_torchserves_own_archiver_says(model, tmp_path):
    manifests = pytest.importorskip("model_archiver.manifest_components.manifest")
    models = pytest.importorskip("model_archiver.manifest_components.model")
    theirs = manifests.Manifest(
        "python", models.Model("digits", None, "serving.torchserve_handler", None, "3")
    )
    write_archive(model, tmp_path / "digits.mar")
    with zipfile.ZipFile(tmp_path / "digits.mar") as archive:
        ours = json.loads(archive.read("MAR-INF/MANIFEST.json"))
    assert ours["model"].pop("digits_version") == "digits/3"
    expected = json.loads(str(theirs))
    for each in (ours, expected):
        each.pop("createdOn")
    assert ours == expected


def test_damaged_bundle_is_not_archived(model, tmp_path):
    with (model.folder / ONNX).open("ab") as file:
        file.write(b"!")
    with pytest.raises(RegistryError, match=r"model\.onnx"):
        write_archive(model, tmp_path / "digits.mar")
    assert not (tmp_path / "digits.mar").exists()


def test_missing_java_is_told_with_the_command_that_brings_it(monkeypatch, tmp_path):
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DeploymentError, match=r"none on the PATH.*apt-get install"):
        command.java()
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(DeploymentError, match="none in JAVA_HOME"):
        command.java()


def test_missing_extra_is_told(monkeypatch):
    monkeypatch.setattr(command.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="scripts/bootstrap torchserve"):
        command.installed()


def test_address_that_is_in_use_is_told_by_its_key_and_our_own_is_had_again():
    free = choose("127.0.0.1", 0, 0, None)
    port = int(free.inference.rpartition(":")[2])
    with socket.create_server(("127.0.0.1", port)):
        with pytest.raises(ConfigError, match=r"serving\.port"):
            choose("127.0.0.1", port, 0, None)
        assert choose("127.0.0.1", port, 0, free).inference == free.inference


def test_folder_of_somebody_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").touch()
    target = TorchServe(folder=str(tmp_path))
    with pytest.raises(DeploymentError, match="holds something else"):
        target.destroy()
    assert (tmp_path / "thesis.tex").exists()
