"""Every step in a container of the training image, on an engine that runs here."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import ROOT, Program

pytest.importorskip("kfp", reason="the extra pipelines is not installed")
pytestmark = [pytest.mark.e2e, pytest.mark.service, pytest.mark.timeout(1200)]

REQUIRED = "DIGITS_REQUIRE_SERVICES"
DOCKER = Path("/usr/bin/docker")
QUICK = [
    "task=pipeline",
    "pipeline=docker",
    "data.validation_fraction=0.2",
    'overrides.train=["model=linear","trainer.max_epochs=1","keep_data=false"]',
    'overrides.evaluate=["runtime=onnx"]',
]


def docker(*arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(DOCKER), *arguments], input=text, capture_output=True, text=True, timeout=60
    )


@pytest.fixture(scope="module", autouse=True)
def _engine() -> None:
    if not DOCKER.exists() or docker("info").returncode:
        reason = "no Docker engine answers: scripts/engine starts one"
        pytest.fail(reason) if os.environ.get(REQUIRED) else pytest.skip(reason)


@pytest.fixture(scope="module")
def image() -> str:
    """The training image of this checkout."""
    if name := os.environ.get("DIGITS_TRAIN_IMAGE"):
        return name
    made = subprocess.run(
        [str(ROOT / "scripts" / "image"), "train"], capture_output=True, text=True, timeout=1000
    )
    assert made.returncode == 0, made.stderr[-2000:]
    return "digits-train"


@pytest.fixture
def bare() -> Iterator[str]:
    """An image with Python, and nothing of the project."""
    name = f"digits-bare-{uuid.uuid4().hex[:8]}"
    folder = docker("build", "-q", "-t", name, "-", text="FROM digits-base:bookworm\n")
    assert folder.returncode == 0, folder.stderr
    yield name
    docker("rmi", "-f", name)


def test_an_image_that_lacks_the_project_is_told_before_anything_runs(
    program: Program, bare: str
) -> None:
    done = program(*QUICK, f"pipeline.image={bare}")
    assert done.returncode == 1
    assert f"pipeline.image: {bare}:latest lacks the project" in done.stderr
    assert "No module named" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_image_that_is_not_here_is_told(program: Program) -> None:
    done = program(*QUICK, "pipeline.image=digits-nowhere")
    assert done.returncode == 1
    assert "there is no image digits-nowhere:latest on this machine" in done.stderr


def test_an_engine_that_does_not_answer_is_told(program: Program) -> None:
    done = program(*QUICK, DOCKER_HOST="unix:///nowhere.sock")
    assert done.returncode == 1
    assert "no Docker engine answers" in done.stderr


def test_a_deployment_that_would_end_with_its_container_is_refused(program: Program) -> None:
    done = program(*QUICK, "target=local")
    assert done.returncode == 2
    assert "target  local would end with its container" in done.stderr


def test_the_whole_pipeline_runs_in_containers(program: Program, image: str) -> None:
    done = program(*QUICK, f"pipeline.image={image}", timeout=1000)
    assert done.returncode == 12, done.stderr
    assert "Rejected: version 1 is not promoted" in done.stderr
    version = program.client().get_model_version("digits", "1")
    assert version.tags["promotion.decision"] == "rejected"
    outputs = program.folder / "outputs"
    owners = {file.stat().st_uid for file in outputs.rglob("*")}
    assert owners == {os.getuid()}
    assert not docker("ps", "-q", "--filter", "label=digits-pipeline").stdout
