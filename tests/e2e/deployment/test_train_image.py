"""The training image: built here, shut in, it trains and has what the steps of a pipeline need."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator

import pytest

from digits.deployment.engine import Engine
from digits.tracking.record import git_commit
from tests.e2e.conftest import ROOT
from tests.e2e.deployment.engine import engine

__all__ = ["engine"]  # a fixture

pytestmark = [pytest.mark.service, pytest.mark.timeout(1800)]

SHUT_IN = ("--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--network=none")
TRAINING_SECONDS = 600
RUN = """
import json
from mlflow import MlflowClient
client = MlflowClient("sqlite:////opt/digits/outputs/mlflow.db")
version = client.get_model_version("digits", "1")
print(json.dumps(client.get_run(version.run_id).data.tags))
"""


@pytest.fixture(scope="module")
def image(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The image of this checkout, with its bill of materials; its name is removed in the end."""
    name, bills = f"digits-train-test-{os.getpid()}", tmp_path_factory.mktemp("bills")
    done = subprocess.run(
        [str(ROOT / "scripts" / "image"), "train", "--tag", name, "--sbom", str(bills)],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert (bills / "train.cdx.json").is_file()
    yield name
    engine.run("rmi", name)


def test_steps_of_a_pipeline_find_what_they_need(engine: Engine, image: str) -> None:
    looked = (
        "import docker, kfp.dsl.executor_main, pipelines.command as c; print(c.PROGRAM.is_file())"
    )
    found = engine.run(
        *("run", "--rm", *SHUT_IN, "--env=_KFP_RUNTIME=true", image, "python3", "-c", looked),
        seconds=120,
    )
    assert found.splitlines()[-1] == "True"


def test_trains_without_network_and_says_from_which_commit(engine: Engine, image: str) -> None:
    volume = f"{image}-outputs"
    command = ("run", "--rm", *SHUT_IN, f"--volume={volume}:/opt/digits/outputs", image, "python")
    try:
        engine.run(
            *command, "run.py", "model=linear", "trainer.max_epochs=1", seconds=TRAINING_SECONDS
        )
        tags = json.loads(engine.run(*command, "-c", RUN, seconds=120).splitlines()[-1])
        assert tags["mlflow.source.git.commit"] == git_commit(ROOT)
        assert engine.run(*command, "-c", "import os; print(os.getuid())") == "10001"
    finally:
        engine.run("volume", "rm", volume)


def test_nothing_of_the_build_is_left_in_it(engine: Engine, image: str) -> None:
    history = engine.run("history", "--no-trunc", "--format", "{{.CreatedBy}}", image)
    for name in ("PIP_CERT", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        value = os.environ.get(name)
        assert value is None or value not in history
    looked = (
        "from pathlib import Path as P; print(*P('/run').rglob('pip*'), *P('/').glob('wheels/*'))"
    )
    assert engine.run("run", "--rm", *SHUT_IN, image, "python", "-c", looked) == ""
