"""The pipeline of GitLab, run by gitlab-ci-local with the shell executor."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.checkout import copy_of_the_tree

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "ci" / "node_modules" / ".bin" / "gitlab-ci-local"
Done = subprocess.CompletedProcess[str]

pytestmark = [pytest.mark.service, pytest.mark.timeout(600)]


@dataclass(frozen=True)
class Checkout:
    """A copy of the working tree with a history of its own."""

    folder: Path

    def git(self, *typed: str) -> None:
        """Run git there."""
        who = ["-c", "user.name=digits", "-c", "user.email=digits@localhost"]
        subprocess.run(["git", *who, *typed], cwd=self.folder, check=True, capture_output=True)

    def commit(self) -> None:
        """Commit whatever has changed."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "as it is", "--no-verify")

    def change_of(self, revision: str) -> None:
        """Say what the newest commit is a change of."""
        self.git("update-ref", "refs/remotes/origin/main", revision)

    def pipeline(self, *typed: str, **variables: str) -> Done:
        """Run jobs, or ask for their list."""
        given = [f"--variable={name}={value}" for name, value in variables.items()]
        home = self.folder.parent / "home"
        command = [str(PROGRAM), *typed, *given, "--force-shell-executor", f"--home={home}"]
        plain = {key: each for key, each in os.environ.items() if not key.startswith("DIGITS_")}
        return subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, env=plain, check=False
        )

    def jobs(self, *typed: str) -> set[str]:
        """Names of the jobs that the newest commit starts."""
        done = self.pipeline("--list-csv", *typed)
        assert done.returncode == 0, done.stderr
        lines = [line for line in done.stdout.splitlines() if ";" in line]
        return {line.partition(";")[0].partition(":")[0].strip('"') for line in lines[1:]}


def _environment(folder: Path) -> None:
    """Lend the copy the environment that these tests run in: making another takes minutes."""
    ours = Path(sys.prefix)
    (folder / ".venv").mkdir()
    for name in ("bin", "lib", "pyvenv.cfg"):
        (folder / ".venv" / name).symlink_to(ours / name)
    extras = (ours / ".digits-installed").read_text(encoding="utf-8").splitlines()[1]
    # The jobs would set up what is missing: in our own environment, behind the link.
    missing = {"train", "serve", "explain", "monitor"} - {*extras.split()}
    if missing and "all" not in extras.split():
        pytest.skip(f"this environment lacks {missing}: scripts/test sets it up")
    made_of = [folder / name for name in ("pyproject.toml", "requirements.lock")]
    made_of.append(folder / "scripts" / "bootstrap")
    content = f"{folder}\n".encode() + b"".join(each.read_bytes() for each in made_of)
    mark = hashlib.sha256(content).hexdigest()
    (folder / ".venv" / ".digits-installed").write_text(f"{mark}\n{extras}\n", encoding="utf-8")


@pytest.fixture(scope="module", name="checkout")
def _checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    if not (PROGRAM.exists() and shutil.which("rsync")):
        reason = "gitlab-ci-local and rsync are not here: scripts/services"
        if os.environ.get("DIGITS_REQUIRE_SERVICES") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    folder = copy_of_the_tree(tmp_path_factory.mktemp("gitlab") / "digits")
    checkout = Checkout(folder)
    checkout.git("init", "--quiet", "--initial-branch=main")
    checkout.git("remote", "add", "origin", "git@gitlab.localhost:digits/digits.git")
    checkout.commit()
    checkout.change_of("HEAD")
    checkout.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
    with (folder / "run.py").open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    checkout.commit()
    _environment(folder)
    return checkout


def test_train_and_judge_run_as_jobs_with_the_overrides_that_people_type(
    checkout: Checkout,
) -> None:
    quick = {"DIGITS_TRAIN": "model=tiny trainer.max_epochs=1"}
    asked = {"DIGITS_EVALUATE": "runtime=onnx classification_report=false"}
    done = checkout.pipeline("train", "judge", "--no-artifacts-to-source", **quick, **asked)
    said = done.stdout + done.stderr
    assert "$ scripts/run task=train model=tiny trainer.max_epochs=1" in said
    assert re.search(r"PASS.* train\b", said), said
    # One epoch does not make a model that the gate lets pass: the pipeline fails, and keeps why.
    assert done.returncode != 0
    assert "Rejected: digits version 1 is not promoted" in said
    assert re.search(r"judge finished in .* FAIL.* 12\b", said), said
    kept = checkout.folder / ".gitlab-ci-local" / "artifacts" / "judge" / "outputs" / "ci"
    assert {file.name for file in kept.iterdir()} >= {"model_card.md", "evidence.html"}


def test_a_job_without_its_variable_fails_and_names_it(checkout: Checkout) -> None:
    done = checkout.pipeline("staging")
    assert done.returncode != 0
    assert "the variable DIGITS_DEPLOY is not set" in done.stdout + done.stderr


def test_a_change_of_the_documentation_starts_one_job(checkout: Checkout) -> None:
    checkout.change_of("HEAD")
    (checkout.folder / "docs" / "loop.md").write_text("# Another loop\n", encoding="utf-8")
    checkout.commit()
    try:
        assert checkout.jobs() == {"docs"}
    finally:
        checkout.git("reset", "--quiet", "--hard", "HEAD~1")
        checkout.change_of("HEAD~1")


def test_a_change_of_the_program_starts_them_all_but_the_scheduled(checkout: Checkout) -> None:
    jobs = checkout.jobs()
    assert jobs >= {"lint", "test", "train", "sweep", "sweeps", "judge", "build-image", "staging"}
    assert not jobs & {"docs", "drift", "retrain"}


def test_a_schedule_starts_drift_and_retrain(checkout: Checkout) -> None:
    assert checkout.jobs("--variable=CI_PIPELINE_SOURCE=schedule") == {"drift", "retrain"}


def test_the_child_pipeline_searches_each_model(checkout: Checkout) -> None:
    done = checkout.pipeline("--list-csv", "--file", "ci/gitlab/sweeps.yml")
    assert done.returncode == 0, done.stderr
    assert [name for name in ("[cnn]", "[lenet]", "[mlp]") if name not in done.stdout] == []
