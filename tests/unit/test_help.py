"""The help lists every option of every group with what its file says about it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from digits.config.help import help_text

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = sorted(
    file.relative_to(ROOT / "conf")
    for file in (ROOT / "conf").rglob("*.yaml")
    if file.parent != ROOT / "conf" and "hydra" not in file.parts
)


def _run(*arguments: str) -> str:
    command = [sys.executable, str(ROOT / "run.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _section(text: str, group: str) -> list[str]:
    """The lines of one group, its heading first."""
    (section,) = [part for part in text.split("\n\n") if part.startswith(f"{group}=")]
    return section.splitlines()


@pytest.fixture(scope="module", name="printed")
def _printed() -> str:
    return _run("--help")


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.with_suffix("").as_posix())
def test_every_option_is_listed_with_the_first_comment_of_its_file(
    printed: str, option: Path
) -> None:
    lines = (ROOT / "conf" / option).read_text(encoding="utf-8").splitlines()
    header = lines["@package" in lines[0]].removeprefix("# ")
    listed = [
        line.removeprefix("  * ").strip().split(maxsplit=1)
        for line in _section(printed, option.parent.as_posix())[1:]
    ]
    assert listed.count([option.stem, header]) == 1


def test_what_runs_without_overrides_is_marked(printed: str) -> None:
    from hydra import compose, initialize_config_dir

    from digits.config import resolvers

    resolvers.register()
    choices: dict[str, str | None] = {}
    tasks = [[f"task={file.stem}"] for file in (ROOT / "conf" / "task").glob("*.yaml")]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        for typed in [*tasks, []]:  # the default task has the last word
            config = compose("config", [*typed, "paths.output=."], return_hydra_config=True)
            choices |= config.hydra.runtime.choices
    choices["task"] = "train"
    for group in {option.parent.as_posix() for option in OPTIONS}:
        marked = [line.split()[1] for line in _section(printed, group) if line.startswith("  * ")]
        choice = choices[group]
        assert marked == ([] if choice is None else [choice]), group


@pytest.mark.parametrize("typed", [["-h"], ["--help", "data=mnist"], ["no_such_key=1", "-m", "-h"]])
def test_help_is_the_same_whatever_else_is_typed(printed: str, typed: list[str]) -> None:
    assert _run(*typed) == printed


def test_hydras_own_help_is_one_switch_away(printed: str) -> None:
    assert "--hydra-help" in printed
    assert "--experimental-rerun" in _run("--hydra-help")


def test_help_does_not_wait_for_hydra() -> None:
    command = [sys.executable, "-X", "importtime", str(ROOT / "run.py"), "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "digits.config.help" in imported
    assert not imported & {"hydra", "omegaconf", "rich"}


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    """A small configuration with a group of every kind."""
    files = {
        "config": "defaults: [_self_, task: b, optional local: default]",
        "task/a": "# @package _global_\n# First.\n# More of it.",
        "task/b": "# Second.\ndefaults: [a, /x/y@z: q, /w: '${x/y}', override /hydra/s: t, _self_]",
        "x/y/p": "key: 1",
        "x/y/q": "key: 1\n\n# Late.",
        "w/q": "# Named alike.",
        "hydra/s/t": "# Of Hydra.",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    return tmp_path


def test_groups_of_every_kind(conf: Path) -> None:
    _, _, *groups, _ = help_text("", conf).split("\n\n")
    assert groups == [
        "task=\n    a  First.\n  * b  Second.",
        "w=  (follows x/y)\n  * q  Named alike.",
        "x/y=\n    p\n  * q  Late.",
    ]
