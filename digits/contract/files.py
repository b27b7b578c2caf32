"""Atomic writes: a reader sees the old content or the new, never a part of either."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write ``content`` to a temporary sibling, flush it to the disk, rename it to ``path``.

    Raises:
        OSError: the disk is full or read-only; ``filename`` is ``path``.
    """
    data = content.encode() if isinstance(content, str) else content
    try:
        _write(path, data)
    except OSError as error:
        # A full disk is reported without a name, a missing folder with the temporary one.
        error.filename, error.filename2 = str(path), None
        raise
    sync_folder(path.parent)


def _write(path: Path, data: bytes) -> None:
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    """Flush the folder's entries, so that a rename in it survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def appearing(folder: Path) -> Iterator[Path]:
    """Give a temporary sibling to fill; flush it and rename it to ``folder`` when all went well.

    A folder that is already there is replaced.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    for left_over in folder.parent.glob(f".{folder.name}.*"):  # of a process killed at this point
        shutil.rmtree(left_over)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as temporary:
        draft = Path(temporary) / folder.name
        draft.mkdir()
        yield draft
        for file in draft.rglob("*"):
            _flush(file)
        if folder.exists():  # a resumed run writes the bundle once more
            shutil.rmtree(folder)
        draft.replace(folder)
    sync_folder(folder.parent)


def _flush(file: Path) -> None:
    if file.is_dir():
        sync_folder(file)
        return
    with file.open("rb") as stream:
        os.fsync(stream.fileno())
