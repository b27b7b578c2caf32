"""Hydra's completion of the shell knows our groups, options and keys."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# What a shell does with the line so far when Tab is pressed.
PRESS_TAB = """
eval "$(python run.py -sc install=bash)"
COMP_LINE="$LINE"; COMP_POINT=${#COMP_LINE}
COMP_WORDS=($COMP_LINE); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
hydra_bash_completion
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("python run.py model=l", {"model=lenet", "model=linear"}),
        ("python run.py trainer.max_ep", {"trainer.max_epochs="}),
        ("python run.py task=promote gate=", {"gate=default", "gate=strict"}),
    ],
)
def test_tab_completes(line: str, offered: set[str]) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "--norc", "-c", PRESS_TAB],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PATH": path, "LINE": line},
        check=False,
    )
    assert set(done.stdout.split()) == offered, done.stderr
