"""The file that says which bundles to serve."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from digits.contract.pointer import Pointed, Pointer, Refused
from digits.errors import RegistryError

DIGEST = "ab" * 32


def pointed(**changes):
    fields = {"name": "digits", "number": 3, "folder": "/bundles/3", "onnx_sha256": DIGEST}
    return Pointed(**(fields | changes))


def test_what_is_written_is_read(tmp_path):
    refused = Refused(version="digits/4", reason="changed", time=datetime(2020, 1, 2, tzinfo=UTC))
    pointer = Pointer(champion=pointed(alias="champion"), challenger=pointed(), refused=refused)
    pointer.write(tmp_path / "pointer.json")
    assert Pointer.read(tmp_path / "pointer.json") == pointer
    assert pointer.written.tzinfo is UTC


def test_version_is_what_answers_name():
    assert pointed().version == "digits/3"
    assert pointed(number=None).version == "abababababab"


def test_missing_file_is_named(tmp_path):
    with pytest.raises(RegistryError, match=r"pointer\.json: No such file .* no model to serve"):
        Pointer.read(tmp_path / "pointer.json")


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ("", "JSON"),
        ("{", "JSON"),
        ("[]", "JSON"),
        ("{}", "champion: Field required"),
        ('{"champion": {"name": "digits"}}', r"champion\.number"),
    ],
)
def test_damaged_file_is_refused_with_the_place(tmp_path, content, place):
    file = tmp_path / "pointer.json"
    file.write_text(content)
    with pytest.raises(RegistryError, match=rf"pointer\.json is damaged: {place}"):
        Pointer.read(file)


def test_digest_that_is_none_is_refused():
    with pytest.raises(ValueError, match="onnx_sha256"):
        pointed(onnx_sha256="ab")
