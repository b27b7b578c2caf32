"""The zip file of a function: the same bytes for the same content, and nothing more."""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path

import pytest

from digits.deployment.aws import package
from digits.deployment.aws.package import Package
from digits.errors import DeploymentError

RUNTIME = f"python3.{sys.version_info.minor}"


@pytest.fixture
def bundle(make, tmp_path) -> Path:
    make(tmp_path / "bundle")
    return tmp_path / "bundle"


@pytest.fixture
def packed(bundle, tmp_path) -> Package:
    """With the libraries in the cache already: one small file of them."""
    packed = Package(bundle, runtime=RUNTIME, architecture="x86_64", cache=tmp_path / "cache")
    name = f"{RUNTIME}-x86_64-{packed._libraries_key()}.zip"
    (tmp_path / "cache").mkdir()
    with zipfile.ZipFile(tmp_path / "cache" / name, "w") as libraries:
        libraries.writestr("numpy/__init__.py", "")
    return packed


def test_it_has_libraries_code_and_model_and_is_compiled(packed, bundle):
    with zipfile.ZipFile(io.BytesIO(packed.build())) as archive:
        names = set(archive.namelist())
        assert archive.read("model/model.onnx") == (bundle / "model.onnx").read_bytes()
    assert {"numpy/__init__.py", "serving/aws_lambda.py", "digits/contract/manifest.py"} <= names
    assert any(name.startswith("serving/__pycache__/aws_lambda.") for name in names)
    assert packed.state == "compiled"
    tops = {"numpy", "serving", "digits", "model"}
    assert {name.split("/")[0] for name in names} == tops
    ours = {"/".join(name.split("/")[:2]) for name in names if name.startswith("digits/")}
    assert ours == {
        "digits/__init__.py",
        "digits/errors.py",
        "digits/contract",
        "digits/__pycache__",
    }


def test_the_same_content_is_the_same_bytes(packed):
    assert packed.build() == packed.build()


def test_the_key_says_what_is_in_it(packed, make, tmp_path):
    make(tmp_path / "other", run_id="another")
    given = {"runtime": RUNTIME, "cache": tmp_path / "cache"}
    same = Package(tmp_path / "bundle", architecture="x86_64", **given)
    other = Package(tmp_path / "other", architecture="x86_64", **given)
    arm = Package(tmp_path / "bundle", architecture="arm64", **given)
    assert same.key == packed.key
    assert len({packed.key, other.key, arm.key}) == 3


def test_what_lambda_would_not_take_is_refused(packed, monkeypatch):
    monkeypatch.setattr(package, "MOST_BYTES", 1000)
    with pytest.raises(DeploymentError, match=r"unzipped.*deployment\.package=image"):
        packed.build()


def test_libraries_that_cannot_be_had_are_named(bundle, tmp_path, monkeypatch):
    monkeypatch.setattr(package, "LIBRARIES", ("./no-such-folder",))
    cache = tmp_path / "cache"
    wanted = Package(bundle, runtime=RUNTIME, architecture="x86_64", cache=cache)
    with pytest.raises(DeploymentError, match="cannot be had"):
        wanted.build()
    assert list(cache.iterdir()) == []  # nothing half-made is left
