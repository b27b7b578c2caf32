"""Atomic writes."""

from __future__ import annotations

import errno
import os
import stat

import pytest

from digits.contract import files
from digits.contract.files import write_atomically


@pytest.mark.parametrize("content", ["straße", "straße".encode()])
def test_text_and_bytes_arrive_and_leave_nothing_else(tmp_path, content):
    write_atomically(tmp_path / "a.txt", content)
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "straße"
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]


def test_file_is_readable_for_others(tmp_path):
    write_atomically(tmp_path / "a", "x")
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o644


def test_content_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    synced = []
    real = os.fsync

    def fsync(descriptor):
        synced.append((tmp_path / "a").exists())
        real(descriptor)

    monkeypatch.setattr(files.os, "fsync", fsync)
    write_atomically(tmp_path / "a", "x")
    assert synced == [False, True]  # the file, then the folder that names it


def test_full_disk_keeps_the_old_content_and_names_the_file(tmp_path, monkeypatch):
    path = tmp_path / "a"
    write_atomically(path, "old")

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_atomically(path, "new")
    assert caught.value.filename == str(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_interruption_leaves_no_temporary_file(tmp_path, monkeypatch):
    def interrupt(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "a", "new")
    assert not list(tmp_path.iterdir())


def test_missing_folder_names_the_file_that_was_asked_for(tmp_path):
    path = tmp_path / "none" / "a"
    with pytest.raises(FileNotFoundError) as caught:
        write_atomically(path, "x")
    assert caught.value.filename == str(path)
