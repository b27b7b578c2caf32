"""The cheap commands stay cheap: what they import, and what they leave behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"torch", "pytorch_lightning", "ray", "mlflow", "feast", "kfp", "evidently"}

PROBE = """
import runpy, sys
sys.argv = ["run.py", *sys.argv[1:]]
sys.path.insert(0, {root!r})
try:
    runpy.run_path({script!r}, run_name="__main__")
except SystemExit as end:
    code = end.code or 0
else:
    code = 0
print("loaded:", *sorted(set(sys.modules) & set({heavy!r})))
sys.exit(code)
"""


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    code = PROBE.format(root=str(ROOT), script=str(ROOT / "run.py"), heavy=sorted(HEAVY))
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--cfg", "job"], 0),
        (["--help"], 0),
        (["--info", "defaults"], 0),
        (["no_such_key=1"], 2),
        (["model=no_such_model"], 2),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else f"exit {value}",
)
def test_cheap_command_imports_nothing_heavy_and_writes_nothing(
    tmp_path: Path, arguments: list[str], code: int
) -> None:
    done = _run(tmp_path, *arguments, *([] if arguments == ["--help"] else ["paths.root=out"]))
    assert done.returncode == code, done.stderr
    assert done.stdout.splitlines()[-1] == "loaded:"
    assert list(tmp_path.iterdir()) == []


def test_unknown_option_lists_the_options(tmp_path: Path) -> None:
    message = _run(tmp_path, "model=no_such_model").stderr
    assert "no_such_model" in message
    assert "lenet" in message
    assert "Traceback" not in message


def test_a_python_without_the_libraries_says_what_to_type(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-S", str(ROOT / "run.py"), "--help"],  # -S: none that is installed
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 1
    assert "lacks Hydra: type scripts/run" in done.stderr
    assert len(done.stderr.splitlines()) == 1
