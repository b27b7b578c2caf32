"""Write what Python asks of an installed package, for Digits itself: python describe.py FOLDER.

Its modules are copied into the image, not installed; the service tells its version all the same.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path


def describe(project: Path, folder: Path) -> None:
    """Write the description of the project in ``pyproject.toml`` beside its modules."""
    found = tomllib.loads(project.read_text("utf-8"))["project"]
    place = folder / f"{found['name']}-{found['version']}.dist-info"
    place.mkdir(parents=True)
    lines = ["Metadata-Version: 2.1", f"Name: {found['name']}", f"Version: {found['version']}"]
    (place / "METADATA").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    describe(Path(__file__).with_name("pyproject.toml"), Path(sys.argv[1]))
