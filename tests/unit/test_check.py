"""The check of a whole tree: every fault at once, at its key, quickly."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from digits.config.check import check
from digits.errors import ConfigError, Finding
from tests.unit.checking import TOY, TOYS, findings, toy

ROOT = Path(__file__).parents[2]


def test_a_sound_tree_passes() -> None:
    tree = {
        "task": toy(shape="${shape}", seed="${seed}", _partial_=True),
        "shape": toy("Shape", size=2, sides=3),
        "seed": 0,
        "check_only": False,
        "paths": {"root": "."},
    }
    assert findings(tree) == []


def test_every_fault_is_reported_at_once_in_the_order_of_the_tree() -> None:
    tree = {
        "seed": "zero",
        "shape": toy("Shape", size=-1, sides=True, corners=4),
        "point": toy("Point", y="here"),
        "typo": 1,
        "task": toy(shape="${shape}", point="${point}", seed="${seed}", colour=3),
    }
    assert findings(tree) == [
        'seed: must be a whole number, not "zero"',
        "shape.size: must be greater than 0, not -1",
        "shape.sides: must be a whole number, not true",
        f"shape.corners: unexpected for {TOY}.Shape",
        f"point.x: required by {TOY}.Point, not given",
        'point.y: must be a number or null, not "here"',
        "typo: nothing reads this key",
        f"task.colour: unexpected for {TOY}.task",
    ]


def test_the_report_has_one_line_for_each_finding() -> None:
    with pytest.raises(ConfigError) as caught:
        check(OmegaConf.create({"task": toy(seed="x", rate=0)}), slots=TOYS)
    assert caught.value.exit_code == 2
    assert str(caught.value).splitlines()[0] == "The configuration has 2 faults:"
    assert Finding("task.rate", "must be greater than 0, not 0") in caught.value.findings


@pytest.mark.parametrize("tree", [{"seed": 0}, {"task": None}])
def test_no_task_is_a_fault(tree: dict[str, Any]) -> None:
    assert findings(tree) == ["task: there is no task: choose one with task=..."]


def test_what_is_missing_from_the_tree_comes_first() -> None:
    assert findings({"typo": 1, "seed": -1}) == [
        "task: there is no task: choose one with task=...",
        "typo: nothing reads this key",
        "seed: must be at least 0, not -1",
    ]


def test_a_key_within_nested_lists_is_one_that_leads_there() -> None:
    assert findings({"task": toy(values="${lists[1]}"), "lists": [[0], [2, "x"]]}) == [
        "lists[0]: nothing reads this key",
        'lists[1][1]: must be a whole number, not "x"',
    ]


def test_a_fault_behind_a_reference_is_reported_once_where_it_is_written() -> None:
    tree = {
        "task": toy(shape="${shape}", box=toy("Box", shapes={"a": "${shape}"})),
        "shape": toy("Shape", size="${size}"),
        "size": -1,
    }
    assert findings(tree) == ["size: must be greater than 0, not -1"]


@pytest.fixture
def toy_conf(tmp_path: Path) -> Path:
    (tmp_path / "shapes").mkdir()
    (tmp_path / "shapes" / "some.yaml").write_text(
        f"a:\n  _target_: {TOY}.Shape\n  size: ???\nb:\n  _target_: {TOY}.Shape\n"
    )
    (tmp_path / "config.yaml").write_text(
        "defaults: [shapes: some, _self_]\nseed: 0\n"
        f"task:\n  _target_: {TOY}.task\n  seed: ${{seed}}\n"
        f"  box:\n    _target_: {TOY}.Box\n    shapes: ${{shapes}}\n"
    )
    return tmp_path


def composed(folder: Path, *overrides: str) -> list[str]:
    with initialize_config_dir(str(folder), version_base="1.3"):
        config = compose("config", overrides=list(overrides))
    try:
        check(config, slots=TOYS)
    except ConfigError as error:
        return [str(finding) for finding in error.findings]
    return []


def test_a_step_can_be_removed_and_a_typed_error_is_found(toy_conf: Path) -> None:
    assert composed(toy_conf) == ["shapes.a.size: has no value yet: type shapes.a.size=..."]
    assert composed(toy_conf, "shapes.a.size=2") == []
    assert composed(toy_conf, "~shapes.a") == []
    assert composed(toy_conf, "~shapes.a", "+typo=1") == ["typo: nothing reads this key"]
    assert composed(toy_conf, "~shapes.a", "+shapes.b.siz=1") == [
        f"shapes.b.siz: unexpected for {TOY}.Shape; did you mean size?"
    ]
    assert composed(toy_conf, "~shapes") == [
        "task.box.shapes: refers to shapes, which does not exist"
    ]


TORCH_FREE = f"""
import sys
from omegaconf import OmegaConf
from digits.config import allowed, canonical, check, instantiate
slots = (allowed.Slot("**", allowed.Defined(("{TOY}",)), must_build=False),)
shapes = {{"a": {{"_target_": "{TOY}.Shape", "size": 2}}}}
box = {{"_target_": "{TOY}.Box", "shapes": shapes}}
config = OmegaConf.create({{"task": {{"_target_": "{TOY}.task", "box": box}}}})
check.check(config, slots=slots)
instantiate.instantiate(config.task, _slots_=slots)
canonical.digest(config)
heavy = {{"torch", "pytorch_lightning", "albumentations", "mlflow", "ray", "cv2", "numpy"}}
sys.exit(", ".join(sorted(heavy & set(sys.modules))) or None)
"""


def test_a_torch_free_tree_is_checked_without_torch() -> None:
    done = subprocess.run(
        [sys.executable, "-c", TORCH_FREE], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
