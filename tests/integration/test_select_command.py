"""`task=select` as it is typed: what it prints and loads, and how it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from digits.contract.traffic import TrafficStore
from digits.registry.versions import register
from tests.integration.traffic import prediction

ROOT = Path(__file__).resolve().parents[2]
CODE = """
import runpy, sys
sys.argv = ["run.py", "task=select", *sys.argv[1:]]
try:
    runpy.run_path({script!r}, run_name="__main__")
finally:
    print("loaded:", *sorted({{"torch", "pytorch_lightning", "ray", "feast"}} & set(sys.modules)))
"""


@pytest.fixture
def typed(stored, store, tmp_path):
    """Type the command with these overrides; there is a version of a model."""
    client, run_id, manifest = stored
    register(client, name="digits", run_id=run_id, manifest=manifest)
    places = [f"paths.root={tmp_path}/out", f"tracking.uri={store}", "version=1"]

    def typed(*overrides):
        return subprocess.run(
            [sys.executable, "-c", CODE.format(script=str(ROOT / "run.py")), *places, *overrides],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            check=False,
        )

    return typed


@pytest.fixture
def served(tmp_path, digits):
    """What a service has seen."""
    traffic = TrafficStore(f"sqlite:///{tmp_path}/out/traffic.db")
    traffic.write([prediction(pixels=image.tobytes()) for image in digits.test.images[:30]])
    traffic.close()


def test_selecting_by_what_a_graph_says_and_looking_after_it_load_no_torch(typed, served, tmp_path):
    done = typed("count=5")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split()[:5] == ["queued", "5", "samples:", "5", "by"]
    assert lines[-1] == "loaded:"
    (picture,) = (tmp_path / "out" / "runs").glob("*/*/selection/selected.png")
    assert str(picture) in done.stdout
    done = typed("action=status")
    assert done.returncode == 0, done.stderr
    assert "to label  5" in done.stdout
    assert done.stdout.splitlines()[-1] == "loaded:"


@pytest.mark.parametrize(
    ("overrides", "code", "message"),
    [
        ([], 1, "has no predictions yet: serve a model first"),
        (["action=status"], 1, "has no labelling queue yet"),
        (["count=0"], 2, "count"),
        (["labeller='Rater A'"], 2, "labeller"),
        (["acquisition=batchbald", "acquisition.combinations=1"], 2, "acquisition.combinations"),
        (["model=cnn"], 2, "model"),
    ],
)
def test_what_cannot_be_done_is_one_message(typed, overrides, code, message):
    done = typed(*overrides)
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr
