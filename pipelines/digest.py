"""What stands for the program in the keys of the cache: the content of its files."""

from __future__ import annotations

import hashlib
from pathlib import Path

#: what a step's result may depend on; not the tests, nor the documentation
PARTS = ("run.py", "requirements.lock", "conf", "digits", "hydra_plugins", "pipelines", "serving")
SKIPPED = {"__pycache__"}


def digest_of(project: Path) -> str:
    """Return the sha256 (hex) of names and contents of the program's files."""
    found = hashlib.sha256()
    for part in PARTS:
        place = project / part
        files = sorted(place.rglob("*")) if place.is_dir() else [place]
        for file in files:
            if file.is_file() and SKIPPED.isdisjoint(file.parts):
                found.update(f"{file.relative_to(project)}\0".encode())
                found.update(hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest()
