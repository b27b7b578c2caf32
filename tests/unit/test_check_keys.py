"""The check of keys: those that nothing reads, and those that the entry point reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from digits.config.output_folder import OutputFolder
from tests.unit.checking import findings, toy


def test_an_unread_key_is_named_with_the_one_meant() -> None:
    tree = {
        "task": toy(rate="${optimizer.lr}", seed="${seed}"),
        "optimizer": {"lr": 1.0, "momentun": 0.9},
        "seed": 0,
        "lr": 2,
        "sed": 1,
        "unused": {"a": 1, "b": 2},
    }
    assert findings(tree) == [
        "optimizer.momentun: nothing reads this key",
        "lr: nothing reads this key; did you mean optimizer.lr?",
        "sed: nothing reads this key; did you mean seed?",
        "unused: nothing reads this key",
    ]


def test_the_same_name_elsewhere_is_meant_before_a_near_one_beside_it_before_any() -> None:
    hollow = toy(
        "Hollow",
        count="${a.count}",
        ratio="${a.ratio}",
        text="${b.counts}",
        numbers="${b.ratios}",
        share="${b.share}",
    )
    tree = {
        "task": toy(hollow=hollow),
        "a": {"count": 1, "ratio": 0.5, "counts": 3, "ratoi": 1, "shares": 2},
        "b": {"counts": "x", "ratios": [1], "share": 0.5},
    }
    assert findings(tree) == [
        "a.counts: nothing reads this key; did you mean b.counts?",
        "a.ratoi: nothing reads this key; did you mean a.ratio?",
        "a.shares: nothing reads this key; did you mean b.share?",
    ]


def test_the_frame_is_read_by_whoever_starts_the_task() -> None:
    tree = {"task": toy(), "paths": {"root": ".", "rot": "x"}, "mine": {"a": 1}}
    assert findings(tree) == [
        "paths.rot: nothing reads this key; did you mean paths.root?",
        "mine: nothing reads this key",
    ]
    assert findings(tree, frame=("paths", "mine")) == []


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"seed": -1}, "seed: must be at least 0, not -1"),
        ({"seed": 2**40}, f"seed: must be less than {2**32}, not {2**40}"),
        ({"seed": None}, "seed: must be a whole number, not null"),
        ({"check_only": "yes"}, 'check_only: must be true or false, not "yes"'),
        ({"paths": {"root": None}}, "paths.root: must be a folder, not null"),
        ({"paths": {"root": ""}}, 'paths.root: must be a folder, not ""'),
        ({"paths": {"output": 3}}, "paths.output: must be a folder, not 3"),
        (
            {"paths": {"cache": "~/out"}},
            'paths.cache: write the folder out: ~ is not expanded here, in "~/out"',
        ),
    ],
)
def test_what_the_entry_point_reads_is_judged_too(changes: dict[str, Any], fault: str) -> None:
    assert findings({"task": toy(), **changes}) == [fault]


@pytest.mark.parametrize("seed", [0, 2**32 - 1])
def test_every_seed_of_numpy_is_one(seed: int) -> None:
    assert findings({"task": toy(), "seed": seed}) == []


@pytest.mark.parametrize("root", [None, "", "~/out"])
@pytest.mark.parametrize("mode", ["run", "multirun"])
def test_no_folder_is_made_where_none_is_named(
    mode: str,
    root: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = f"{tmp_path}/a"
    hydra = {"run": {"dir": folder}, "sweep": {"dir": folder}}
    tree = OmegaConf.create({"paths": {"root": root}, "hydra": hydra})
    with pytest.raises(SystemExit) as caught:
        getattr(OutputFolder(), f"on_{mode}_start")(tree)
    assert caught.value.code == 2
    assert "paths.root" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_hydras_own_part_is_left_to_hydra() -> None:
    hydra = {"launcher": {"_target_": "hydra._internal.BasicLauncher"}, "job": {"num": "???"}}
    assert findings({"hydra": hydra, "task": toy()}) == []
    assert findings({"hydra": hydra, "task": toy(), "typo": 1}) == ["typo: nothing reads this key"]


def test_only_keys_between_underscores_are_left_to_whoever_builds() -> None:
    assert findings({"task": toy(), "_note_": 1, "_note": 1, "note_": 1}) == [
        "_note: nothing reads this key",
        "note_: nothing reads this key",
    ]


def test_a_missing_value_that_nothing_reads_is_only_unread() -> None:
    assert findings({"task": toy(), "later": {"a": "???"}}) == ["later: nothing reads this key"]
