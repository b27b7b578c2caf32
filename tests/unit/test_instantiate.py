from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from digits.config.allowed import SLOTS, Slot
from digits.config.instantiate import instantiate
from digits.config.rules import Defined
from digits.errors import ConfigError, DataError
from tests.unit import targets

ROOT = Path(__file__).parents[2]
TOY = "tests.unit.targets"
TOYS = (Slot("**", Defined((TOY,)), must_build=False),)


def toy(name: str, /, **arguments: Any) -> dict[str, Any]:
    return {"_target_": f"{TOY}.{name}", **arguments}


def config(**entries: Any) -> DictConfig:
    return OmegaConf.create(entries)


def fault(node: DictConfig, **options: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        instantiate(node, _slots_=TOYS, **options)
    (finding,) = caught.value.findings
    return str(finding)


def test_a_node_is_built_with_all_that_it_refers_to() -> None:
    tree = config(
        box=toy("Box", shapes={"a": "${shape}", "b": toy("Square", name="b", size=2)}),
        shape=toy("Shape", size="${size}"),
        size=3.0,
    )
    box = instantiate(tree.box, _slots_=TOYS)
    assert type(box.shapes) is dict
    assert list(box.shapes) == ["a", "b"]
    assert box.shapes["a"].size == 3.0
    assert isinstance(box.shapes["b"], targets.Square)


def test_containers_arrive_plain() -> None:
    bag = instantiate(config(bag=toy("Bag", a=[1, {"b": 2}], c={"d": [3]})).bag, _slots_=TOYS)
    assert bag.content == {"a": [1, {"b": 2}], "c": {"d": [3]}}
    assert type(bag.content["a"]) is list
    assert type(bag.content["a"][1]) is dict


def test_a_mapping_or_list_without_a_target_is_built_entry_by_entry() -> None:
    tree = config(shapes={"a": toy("Shape", size=2), "b": 3}, row=[toy("Shape"), 4])
    built = instantiate(tree.shapes, _slots_=TOYS)
    assert type(built) is dict
    assert built["a"].size == 2
    assert built["b"] == 3
    assert instantiate(tree.row, _slots_=TOYS)[1] == 4


def test_nothing_is_none() -> None:
    assert instantiate(None) is None
    assert instantiate(config(a=None).a, _slots_=TOYS) is None
    assert instantiate(DictConfig(None), _slots_=TOYS) is None


def test_a_partial_waits_for_the_rest() -> None:
    tree = config(make=toy("Point", x=1, _partial_=True))
    make = instantiate(tree.make, _slots_=TOYS)
    assert isinstance(make, functools.partial)
    assert make(y=2.0) == targets.Point(1, 2.0)
    assert instantiate(tree.make, _slots_=TOYS, y=3.0)() == targets.Point(1, 3.0)


def test_further_arguments_win_and_are_objects_never_configuration() -> None:
    tree = config(bag=toy("Bag", a=1, b=2))
    config_like = {"_target_": "os.getcwd"}
    bag = instantiate(tree.bag, _slots_=TOYS, b=config_like)
    assert bag.content == {"a": 1, "b": config_like}
    assert bag.content["b"] is config_like


def test_further_arguments_need_a_target() -> None:
    with pytest.raises(TypeError, match="shapes has no _target_ that could take size"):
        instantiate(config(shapes={"a": 1}).shapes, _slots_=TOYS, size=1)


@pytest.mark.parametrize("target", ["os.getcwd", f"{TOY}.os.getcwd", "builtins.eval"])
def test_a_target_off_the_list_is_never_built_however_deep(target: str) -> None:
    tree = config(bag=toy("Bag", a=[{"b": "${hidden}"}]), hidden={"_target_": target})
    assert fault(tree.bag).startswith(f"hidden._target_: {target} is not allowed here")


def test_the_default_list_guards_unless_another_is_given() -> None:
    with pytest.raises(ConfigError, match=r"model takes a subclass of torch\.nn\.Module"):
        instantiate(config(model=toy("Shape")).model)


def test_a_failing_constructor_is_named_by_the_key_a_user_can_type() -> None:
    tree = config(
        task=toy("task", box="${box}"), box=toy("Box", shapes={"a": toy("Shape", sides=13)})
    )
    assert fault(tree.task) == "box.shapes.a.sides: sides cannot be 13 bad luck"


def test_the_cause_of_a_failure_is_kept() -> None:
    with pytest.raises(ConfigError) as caught:
        instantiate(config(shape=toy("Shape", sides=13)).shape, _slots_=TOYS)
    assert isinstance(caught.value.__cause__, ValueError)


def test_a_constructor_that_fails_with_further_arguments_is_named_too() -> None:
    assert fault(config(shape=toy("Shape")).shape, sides=13) == "shape: sides cannot be 13 bad luck"


@pytest.mark.parametrize("options", [{}, {"path": "b"}])
def test_our_own_errors_pass_as_they_are(options: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=r"^[ab] is not there$"):
        instantiate(config(data=toy("Missing", path="a")).data, _slots_=TOYS, **options)


def test_a_missing_value_is_named() -> None:
    tree = config(shape=toy("Shape", size="${size}"), size="???")
    assert fault(tree.shape) == "size: has no value yet: type size=..."


def test_albumentations_complaints_are_one_line_for_each_argument() -> None:
    tree = config(steps={"a": {"_target_": "albumentations.Affine", "p": 2, "rotate": "x"}})
    slots = tuple(slot for slot in SLOTS if "steps" in slot.pattern)
    steps = (Slot("steps.*", slots[0].rule), *TOYS)
    with pytest.raises(ConfigError) as caught:
        instantiate(tree.steps, _slots_=steps)
    assert {finding.key for finding in caught.value.findings} == {"steps.a.p", "steps.a.rotate"}
    assert all("\n" not in finding.message for finding in caught.value.findings)


def test_there_is_one_door() -> None:
    pattern = re.compile(r"hydra(\.|_)utils[. ]+(import +)?instantiate|utils\.(call|instantiate)\(")
    folders = ("digits", "serving", "pipelines", "scripts")
    callers = {
        path.relative_to(ROOT).as_posix()
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
        if pattern.search(path.read_text(encoding="utf-8"))
    }
    assert callers == {"digits/config/instantiate.py"}
