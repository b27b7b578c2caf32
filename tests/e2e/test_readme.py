"""The README's commands as they stand there, one after the other, in a copy of the project."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.checkout import ROOT, copy_of_the_tree

BLOCK = re.compile(r"(?P<not_run><!-- not run by the test[^>]*-->\n)?```sh\n(?P<text>.*?)```", re.S)
SETS_UP = "scripts/run     #"  # of the first block: the set-up's own tests run it


def blocks() -> list[str]:
    """Return the blocks that can be run, with what they are about as it stands."""
    found = BLOCK.finditer((ROOT / "README.md").read_text(encoding="utf-8"))
    return [each["text"] for each in found if not each["not_run"] and SETS_UP not in each["text"]]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """What a clone has, and no more."""
    return copy_of_the_tree(tmp_path / "digits")


@pytest.mark.e2e
@pytest.mark.timeout(900)
def test_every_block_of_the_readme_runs(copy: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(copy),
    }
    found = blocks()
    assert len(found) >= 3
    for block in found:
        script = "set -euo pipefail\n" + block.replace("8000", str(port))
        done = subprocess.run(
            ["bash", "-x", "-c", script],
            cwd=copy,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    assert (copy / "outputs" / "mlflow.db").exists()
