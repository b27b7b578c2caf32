"""The folder that a container reads as another user."""

from __future__ import annotations

import os

import pytest

from digits.contract.manifest import ONNX
from digits.contract.pointer import Pointed
from digits.deployment.served import Served


@pytest.fixture
def closed_umask():
    """What a careful person has set: files of one's own are nobody else's."""
    before = os.umask(0o077)
    yield
    os.umask(before)


def test_everybody_may_read_it_whatever_the_umask(make, tmp_path, closed_umask):
    manifest = make(tmp_path / "bundle")
    served = Served(tmp_path / "deployment" / "served", "/opt/ml/served")
    served.point_to(
        Pointed(name="d", number=1, folder=tmp_path / "bundle", onnx_sha256=manifest.files[ONNX])
    )
    modes = {
        each.relative_to(served.folder): each.stat().st_mode & 0o777
        for each in (served.folder, *served.folder.rglob("*"))
        if not each.name.startswith(".")
    }
    assert len(modes) >= 7
    wrong = {
        str(name): oct(mode)
        for name, mode in modes.items()
        if mode != (0o755 if (served.folder / name).is_dir() else 0o644)
    }
    assert not wrong
