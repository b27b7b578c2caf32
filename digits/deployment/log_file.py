"""A log that several processes append to, kept from filling the disk."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

MOST_BYTES = 64 * 1024**2


def keep_short(file: Path, most: int = MOST_BYTES) -> None:
    """Move the content of a log that is too long to ``<name>.1``, whose own content is given up.

    Whoever has it open for appending goes on at its new beginning. A line that is written at this
    very moment may be lost.
    """
    if not file.exists() or file.stat().st_size <= most:
        return
    before = file.with_name(f"{file.name}.1")
    try:
        shutil.copyfile(file, before)
    except OSError:  # a full disk: rather no old lines than no room
        before.unlink(missing_ok=True)
    os.truncate(file, 0)
