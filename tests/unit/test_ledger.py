"""What a deployment has made, and which version is out, whatever becomes of the process."""

from __future__ import annotations

from pathlib import Path

import pytest

from digits.contract.pointer import Pointed
from digits.deployment.ledger import LEDGER, Ledger, Release
from digits.errors import DeploymentError


def release(number, alias=None, **facts):
    """A version that is put out."""
    model = Pointed(
        name="digits", number=number, folder=Path("/b"), onnx_sha256="a" * 64, alias=alias
    )
    return Release(model=model, facts=facts)


def test_what_is_about_to_be_made_is_on_the_disk(tmp_path):
    made = Ledger(tmp_path / "d").making("iam-role", "digits", arn="a")
    again = Ledger(tmp_path / "d")
    assert again.resources == (made,)
    assert again.making("iam-role", "digits", arn="b").facts == {"arn": "b"}
    assert [each.facts for each in Ledger(tmp_path / "d").resources] == [{"arn": "b"}]
    again.gone(again.resources[0])
    assert Ledger(tmp_path / "d").resources == ()


def test_versions_change_places(tmp_path):
    ledger = Ledger(tmp_path)
    for number in (1, 2):
        ledger.released(release(number))
    ledger.released(release(2))
    assert (ledger.current.model.number, ledger.previous.model.number) == (2, 1)
    ledger.rolled_back()
    ledger = Ledger(tmp_path)
    assert (ledger.current.model.number, ledger.previous.model.number) == (1, 2)


def test_the_same_version_by_another_alias_is_no_other(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.released(release(1))
    ledger.released(release(2, alias="champion"))
    ledger.released(release(2))
    assert ledger.current.model.alias is None
    assert ledger.previous.model.number == 1
    ledger.released(release(2, image="sha256:1"))
    assert ledger.previous.model.number == 2


@pytest.mark.parametrize("text", ["", "{", '{"resources": 1}', '{"unheard": []}'])
def test_a_file_that_is_no_ledger_is_told(text, tmp_path):
    (tmp_path / LEDGER).write_text(text)
    with pytest.raises(DeploymentError, match="no ledger"):
        Ledger(tmp_path)


def test_nothing_is_left_of_it(tmp_path):
    ledger = Ledger(tmp_path / "d")
    assert not ledger
    ledger.making("container", "digits")
    assert Ledger(tmp_path / "d")
    ledger.forget()
    assert not ledger and not (tmp_path / "d").exists()
