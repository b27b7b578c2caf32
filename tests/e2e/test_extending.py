"""docs/extending.md, walked through: its files are written, its commands typed."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.e2e.checkout import ROOT, copy_of_the_tree

PAGE = ROOT / "docs" / "extending.md"
BLOCK = re.compile(r"```(?P<kind>python|yaml|sh)\n(?P<text>.*?)```", re.DOTALL)
PATH = re.compile(r"`([\w/]+\.(?:py|yaml))`")

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


def _section(heading: str) -> str:
    text = PAGE.read_text(encoding="utf-8")
    (found,) = [part for part in text.split("\n## ") if part.startswith(f"{heading}\n")]
    return found


def _commands(section: str) -> list[str]:
    blocks = [block["text"] for block in BLOCK.finditer(section) if block["kind"] == "sh"]
    return [line for text in blocks for line in text.splitlines()]


def _files(section: str) -> Iterator[tuple[str, str]]:
    """Yield each file with its content: blocks come in the order in which the text names them."""
    named: list[str] = []
    end = 0
    for block in BLOCK.finditer(section):
        before = section[end : block.start()]
        named += [path for path in PATH.findall(before.rpartition("File ")[2]) if "/" in path]
        end = block.end()
        if block["kind"] != "sh":
            yield named.pop(0), block["text"]
    assert named == []


@pytest.fixture(scope="module", name="tree")
def _tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with everything in it that the page adds."""
    tree = copy_of_the_tree(tmp_path_factory.mktemp("extending") / "digits")
    for heading in ("A model", "Data", "A tuner", "A deployment target"):
        for path, content in _files(_section(heading)):
            assert not (tree / path).exists(), path
            (tree / path).parent.mkdir(exist_ok=True)
            (tree / path).write_text(content, encoding="utf-8")
    random = np.random.default_rng(0)
    images = random.integers(0, 90, (200, 28, 28), dtype=np.uint8)
    labels = np.arange(200) % 10
    for image, label in zip(images, labels, strict=True):
        image[3 + 2 * label : 6 + 2 * label, 8:20] = 220
    np.savez(tree / "scans.npz", images=images, labels=labels)
    return tree


def _run(tree: Path, command: str) -> subprocess.CompletedProcess[str]:
    program, *typed = shlex.split(command)
    assert program == "python"
    return subprocess.run(
        [sys.executable, *typed],
        cwd=tree,
        env=os.environ | {"PYTHONPATH": str(tree)},  # for the processes that it starts
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("heading", "said"),
    [
        ("A model", ["mine.wide.Wide", "digits version 1"]),
        ("Data", ["200 digits of scans.npz", "digits version 2"]),
        ("A tuner", ["best"]),
        ("A deployment target", ["create", "device", "remove"]),
    ],
)
def test_section(tree: Path, heading: str, said: list[str]) -> None:
    output = ""
    for command in _commands(_section(heading)):
        done = _run(tree, command)
        output += done.stdout + done.stderr
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    if heading == "A model":
        (config,) = (tree / "outputs" / "runs").glob("*/*/config.yaml")
        output += config.read_text(encoding="utf-8")
    assert [words for words in said if words not in output] == [], output


def test_a_value_that_the_signature_does_not_take_is_refused(tree: Path) -> None:
    done = _run(tree, "python run.py model=wide model.width=0")
    assert done.returncode == 2
    assert "model.width  must be at least 1, not 0" in done.stdout + done.stderr
