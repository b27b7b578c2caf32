"""The pipelines of GitLab and GitHub: thin calls of scripts/ci, which says what it lacks."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
GITLAB = [ROOT / ".gitlab-ci.yml", *sorted((ROOT / "ci" / "gitlab").glob("*.yml"))]
GITHUB = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
STAGE = re.compile(r"scripts/ci (?P<stage>[a-z]+)( action=[a-z]+)?")
#: how GitHub's jobs hand a value on; there is no script for it to be in
HAND_ON = 'cat outputs/ci/drift.env >> "$GITHUB_OUTPUT"'


def _ci(*typed: str, **environment: str) -> subprocess.CompletedProcess[str]:
    # Whoever runs this may be a pipeline, with variables of its own.
    plain = {name: value for name, value in os.environ.items() if not name.startswith("DIGITS_")}
    plain.pop("MLFLOW_TRACKING_URI", None)
    return subprocess.run(
        [str(ROOT / "scripts" / "ci"), *typed],
        capture_output=True,
        text=True,
        env=plain | environment,
        check=False,
    )


def _read(file: Path) -> dict[Any, Any]:
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


def _gitlab_scripts() -> dict[str, str]:
    jobs = {name: job for file in GITLAB for name, job in _read(file).items()}
    return {
        name: job["script"]
        for name, job in jobs.items()
        if isinstance(job, dict) and "script" in job
    }


def _github_scripts() -> dict[str, str]:
    return {
        f"{file.stem}.{name}.{index}": step["run"]
        for file in GITHUB
        for name, job in _read(file)["jobs"].items()
        for index, step in enumerate(job["steps"])
        if step.get("run", HAND_ON) != HAND_ON
    }


def _known() -> set[str]:
    script = (ROOT / "scripts" / "ci").read_text(encoding="utf-8")
    return set(re.findall(r"^stage_([a-z]+)\(\)", script, re.MULTILINE))


@pytest.mark.parametrize("scripts", [_gitlab_scripts, _github_scripts])
def test_jobs_are_stages_of_the_script_and_all_of_them(scripts: Any) -> None:
    found = {name: STAGE.fullmatch(script) for name, script in scripts().items()}
    assert [name for name, match in found.items() if match is None] == []
    assert {match["stage"] for match in found.values() if match} == _known()


def test_gitlab_names_no_folder_that_is_gone() -> None:
    jobs = _read(ROOT / "ci" / "gitlab" / "jobs.yml")
    (paths,) = [rule["changes"] for rule in jobs[".code"]["rules"] if "changes" in rule]
    optional = {"docker", "pipelines", "notebooks"}
    gone = [path for path in paths if not (ROOT / path.removesuffix("/**/*")).exists()]
    assert {path.removesuffix("/**/*") for path in gone} <= optional
    assert jobs[".released"]["rules"][-1]["changes"] == paths


def test_gitlab_installs_what_the_lock_says_from_its_cache() -> None:
    job = _read(ROOT / "ci" / "gitlab" / "jobs.yml")[".job"]
    assert job["cache"]["key"]["files"] == ["requirements.lock"]
    assert job["variables"]["UV_CACHE_DIR"].endswith(job["cache"]["paths"][0])


@pytest.mark.parametrize(
    ("stage", "given", "lacks"),
    [
        ("deploy", {}, "DIGITS_DEPLOY"),
        ("deploy", {"DIGITS_DEPLOY": "deployment=local"}, "MLFLOW_TRACKING_URI"),
        ("drift", {}, "DIGITS_TRAFFIC_URL"),
        ("drift", {"DIGITS_TRAFFIC_URL": "sqlite:///none.db"}, "MLFLOW_TRACKING_URI"),
        ("retrain", {}, "DIGITS_VERDICT"),
        ("retrain", {"DIGITS_VERDICT": "drift"}, "MLFLOW_TRACKING_URI"),
    ],
)
def test_a_variable_that_is_missing_is_named(stage: str, given: dict[str, str], lacks: str) -> None:
    done = _ci(stage, **given)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"scripts/ci: the variable {lacks} is not set: it is ")


def test_overrides_that_cannot_be_taken_apart_are_refused() -> None:
    done = _ci("train", DIGITS_TRAIN="'model=tiny")
    assert done.returncode == 2
    assert "DIGITS_TRAIN holds a quote that is never closed: 'model=tiny" in done.stderr


def test_a_stage_that_does_not_exist_is_answered_with_those_that_do() -> None:
    done = _ci("trian")
    assert done.returncode == 2
    assert "no stage 'trian'; there are: deploy docs drift" in done.stderr


@pytest.mark.parametrize("verdict", ["none", "undecided"])
def test_no_drift_no_training(verdict: str) -> None:
    done = _ci("retrain", DIGITS_VERDICT=verdict)
    assert done.returncode == 0
    assert done.stdout == f"scripts/ci: nothing to train for: the verdict is '{verdict}'\n"
