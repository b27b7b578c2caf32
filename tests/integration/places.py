"""Places where no database can be."""

from __future__ import annotations

from pathlib import Path


def no_database(folder, name):
    file = folder / name
    file.write_text("this is a text, long enough to be none of SQLite's headers " * 20)
    return file


def folder_is_a_file(folder, name):
    (folder / "file").touch()
    return folder / "file" / name


def a_folder(folder, name):
    (folder / name).mkdir()
    return folder / name


def unwritable(folder, name):
    return Path("/proc/none") / name


UNUSABLE = (no_database, folder_is_a_file, a_folder, unwritable)
