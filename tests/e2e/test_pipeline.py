"""The pipeline as it is typed, on the scans that ship inside scikit-learn."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from digits.promotion.champion import pair
from tests.e2e.conftest import Done, Program

pytest.importorskip("kfp", reason="the extra pipelines is not installed")
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

QUICK = [
    "task=pipeline",
    "data.validation_fraction=0.2",
    'overrides.evaluate=["classification_report=false","runtime=onnx"]',
]
POOR = 'overrides.train=["model=linear","trainer.max_epochs=1","keep_data=false"]'
GOOD = 'overrides.train=["model=tiny","trainer.max_epochs=4","keep_data=false"]'
# How good a model has to be is tested elsewhere; here it has to pass.
LENIENT = (
    'overrides.gate=["gate.min_accuracy=0.2","gate.min_worst_class=0",'
    '"gate.max_calibration_error=1","gate.min_mean_corruption=0","gate.min_worst_corruption=0",'
    '"gate.max_latency_ms=1000","gate.max_explanation_similarity=1"]'
)
DEPLOY = ["target=local", 'overrides.deploy=["serving.port=0","watch_seconds=1"]']


def steps(done: Done) -> dict[str, str]:
    """Return step -> how it ended, as it is printed."""
    words = [line.split() for line in done.stdout.splitlines()]
    ends = ("done", "cached", "failed")
    return {each[0]: each[1] for each in words if len(each) > 1 and each[1] in ends}


def versions(program: Program) -> int:
    return len(program.client().search_model_versions("name='digits'"))


def test_what_a_search_finds_is_trained_and_what_the_gate_rejects_is_not_deployed(
    program: Program,
) -> None:
    pytest.importorskip("ray", reason="the extra tune is not installed")
    small = '"tuner.num_samples=2","tuner.max_concurrent=1","tuner.max_t=1","trainer.max_epochs=1"'
    search = ["search=random", f"overrides.search=[{small}]"]
    done = program(*QUICK, *DEPLOY, POOR, *search, timeout=800)
    assert done.returncode == 12, done.stderr
    assert "Rejected: version 1 is not promoted, and nothing is deployed" in done.stderr
    ended = steps(done)
    assert ended["reject"] == ended["report"] == "done"
    assert not {"promote", "deploy"} & set(ended)
    version = program.client().get_model_version("digits", "1")
    assert version.tags["promotion.decision"] == "rejected"
    assert version.tags["promotion.reasons"] != "none"
    assert pair(program.client(), "digits").champion is None
    assert not (program.folder / "outputs" / "deployments" / "local").exists()

    assert ended["search"] == ended["train"] == "done"
    (best,) = (program.folder / "outputs" / "pipelines" / "searched").glob("*/best.yaml")
    run = program.client().get_run(version.run_id)
    assert f"optimizer.lr={run.data.params['optimizer.lr']}" in best.read_text()


def training(program: Program) -> int | None:
    """Return the number of the process that trains for this program, once there is one."""
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = place.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if "task=train" in line and f"paths.root='{program.folder / 'outputs'}'" in line:
            return int(place.parent.name)
    return None


def test_a_training_killed_after_it_registered_is_neither_lost_nor_done_twice(
    program: Program,
) -> None:
    typed = [*QUICK, *DEPLOY, GOOD, LENIENT]
    process = program.start(*typed)
    try:
        assert process.stdout is not None
        while not process.stdout.readline().startswith("data "):  # two that make a store spoil it
            assert process.poll() is None
        end = time.monotonic() + 400
        while not versions(program):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < end
            time.sleep(0.05)
        number = training(program)
        assert number is not None
        os.kill(number, signal.SIGKILL)
        told, _ = process.communicate(timeout=200)
    finally:
        process.kill()
    assert process.returncode == 1
    assert "The step train failed (exit code -9)" in told

    done = program(*typed, timeout=800)
    try:
        assert done.returncode == 0, done.stderr
        assert versions(program) == 1
        assert steps(done)["deploy"] == steps(done)["report"] == "done"
        assert pair(program.client(), "digits").champion == 1
        status = program("task=deploy", "action=status")
        assert "digits/1" in status.stdout
        reports = (program.folder / "outputs" / "runs").rglob("report/report")
        newest = max(reports, key=lambda file: file.stat().st_mtime).read_text()
        assert "The pipeline ended: SUCCEEDED" in newest
        assert "model version digits 1" in newest
    finally:
        program("task=deploy", "action=destroy")


def test_a_file_for_a_cluster_is_written_and_faults_are_told_before(program: Program) -> None:
    store = ["tracking=server", "tracking.uri=http://mlflow.example.org"]
    compiled = program("task=pipeline", "pipeline=compile", *store)
    assert compiled.returncode == 0, compiled.stderr
    file = program.folder / "outputs" / "pipelines" / "digits.yaml"
    assert "tracking.uri=http://mlflow.example.org" in file.read_text()

    lost = program("task=pipeline", "pipeline=compile")
    assert lost.returncode == 2
    assert "tracking  a file would end with its container" in lost.stderr

    typing = program("task=pipeline", 'overrides.train=["modle=cnn"]', 'overrides.gate=["x=1"]')
    assert typing.returncode == 2
    assert "overrides.gate" in typing.stderr and "modle" in typing.stderr
    assert not (program.folder / "outputs" / "mlflow.db").exists()

    down = program("task=pipeline", "pipeline=cluster", *store, KFP_HOST="http://127.0.0.1:1")
    assert down.returncode == 1
    assert "does not answer at http://127.0.0.1:1" in down.stderr
