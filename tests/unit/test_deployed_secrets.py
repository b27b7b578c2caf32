"""API keys of what is deployed: never lost in silence, and old ones do not stay."""

from __future__ import annotations

import pytest

from digits.deployment.containers import check_secrets
from digits.deployment.keys import FILE, are_noted, note_keys
from digits.errors import DeploymentError
from serving.settings import KEYS


def test_keys_are_known_again_without_being_kept(tmp_path, monkeypatch):
    monkeypatch.setenv(KEYS, "one,two")
    assert not are_noted(tmp_path)
    note_keys(tmp_path)
    file = tmp_path / FILE
    assert file.stat().st_mode & 0o777 == 0o600 and "one" not in file.read_text()
    before = file.read_text()
    monkeypatch.setenv(KEYS, "two, one")
    assert are_noted(tmp_path)
    note_keys(tmp_path)
    assert file.read_text() != before  # another salt
    for other in ("one", "two,three", ""):
        monkeypatch.setenv(KEYS, other)
        assert not are_noted(tmp_path)
    file.write_text("not hexadecimal")
    assert not are_noted(tmp_path)


def test_a_shell_without_keys_is_told_so(tmp_path, monkeypatch):
    monkeypatch.setenv(KEYS, "one")
    note_keys(tmp_path)
    monkeypatch.delenv(KEYS)
    with pytest.raises(DeploymentError, match=f"started with {KEYS}, and here there is none"):
        are_noted(tmp_path)
    note_keys(tmp_path)
    assert are_noted(tmp_path)


def test_a_container_keeps_its_secrets(monkeypatch):
    found = {"Name": "/digits", "Config": {"Env": [f"{KEYS}=a=b", "PATH=/bin", "PGPASSWORD=p"]}}
    monkeypatch.setenv(KEYS, "new")
    monkeypatch.delenv("PGPASSWORD", raising=False)
    with pytest.raises(DeploymentError, match="container digits was started with PGPASSWORD, and"):
        check_secrets(found)
    monkeypatch.setenv("PGPASSWORD", "")
    check_secrets(found)
    check_secrets({"Name": "/digits", "Config": {"Env": None}})
