"""Recipes hold what their headers promise; the long ones are measured by scripts/bench."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.e2e.conftest import Program

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def _metrics(program: Program, *overrides: str) -> dict[str, float]:
    done = program(*overrides, timeout=500)
    assert done.returncode == 0, done.stderr
    (file,) = (program.folder / "outputs").glob("runs/*/*/metrics.json")
    values: dict[str, float] = json.loads(file.read_text(encoding="utf-8"))
    return values


def test_main_job_reads_the_embedded_scans(program: Program) -> None:
    metrics = _metrics(program)
    assert metrics["test/accuracy"] >= 0.985
    assert metrics["onnx/disagreements"] == 0


@pytest.mark.mnist
@pytest.mark.skipif(
    not Path(os.environ.get("DIGITS_MNIST_ROOT", "none")).is_dir(),
    reason="DIGITS_MNIST_ROOT names no folder with MNIST",
)
def test_fast_recipe_reads_mnist(program: Program) -> None:
    assert _metrics(program, "experiment=mnist_fast")["test/accuracy"] >= 0.989
