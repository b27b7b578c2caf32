"""The check of targets: what may stand where, and does it exist?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from digits.config.allowed import SLOTS, RefusedError, Slot, admit
from digits.config.check import check
from digits.config.rules import Defined, Subclass
from digits.errors import ConfigError
from digits.monitoring.signals import Signals
from digits.promotion.gate import Gate, Verdict
from digits.promotion.paired import mcnemar
from tests.unit.checking import TOY, TOYS, findings, toy
from tests.unit.targets import Colour


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (f"{TOY}.Shap", f"{TOY} has no Shap; did you mean Shape?"),
        (f"{TOY}.Shape.nope", f"{TOY}.Shape has no nope"),
        ("tests.unit.target.Shape", "tests.unit has no target; did you mean targets?"),
        ("nosuchpackage.Shape", "nosuchpackage.Shape: there is no module nosuchpackage"),
        ("tests.unit.unimportable.X", "this module is broken"),
        ("tests.unit.needs_feast.X", "scripts/bootstrap features"),
        ("not a name", "not a dotted name"),
        ("", "not a dotted name"),
        (3, "must be the dotted name of"),
    ],
)
def test_a_target_that_leads_nowhere_says_why(target: Any, message: str) -> None:
    anything = (Slot("**", Anything(), must_build=False),)
    faults = findings({"task": {"_target_": target}}, slots=anything)
    assert len(faults) == 1
    assert faults[0].startswith("task._target_: ")
    assert message in faults[0]


class Anything:
    def describe(self) -> str:
        return "anything"

    def may(self, dotted: str) -> bool:
        return True

    def accepts(self, target: Any) -> bool:
        return True


SLOT_KEYS = [
    "task",
    "data",
    "augmentation",
    "augmentation.steps.rotate",
    "model",
    "optimizer",
    "scheduler",
    "trainer",
    "callbacks.checkpoint",
    "tracking",
    "training",
    "loader",
    "task.classifier",
]


@pytest.mark.parametrize("key", SLOT_KEYS)
@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "builtins.eval",
        "torch.load",
        "digits.data.types.np.load",
        "digits.data.types.hashlib.new",
        "digits.config.instantiate.instantiate",
        "functools.partial",
        "pathlib.Path",
    ],
)
def test_no_slot_takes_what_is_not_its_own(key: str, target: str) -> None:
    with pytest.raises(RefusedError, match=f"{key} takes "):
        admit(key, target)


@pytest.mark.parametrize(
    ("key", "target"),
    [
        ("model", "torch.nn.Flatten"),
        ("model", "digits.models.networks.Cnn"),
        ("optimizer", "torch.optim.Adam"),
        ("optimizer", "torch.optim.adamw.AdamW"),
        ("scheduler", "torch.optim.lr_scheduler.StepLR"),
        ("scheduler", "digits.training.schedules.one_cycle"),
        ("trainer", "pytorch_lightning.Trainer"),
        ("trainer", "pytorch_lightning.trainer.trainer.Trainer"),
        ("callbacks.stop", "pytorch_lightning.callbacks.EarlyStopping"),
        ("augmentation", "digits.data.augmentation.Augmentation"),
        ("augmentation.steps.rotate", "albumentations.Affine"),
        ("tracking", "digits.data.types.Split"),
    ],
)
def test_each_slot_takes_its_own(key: str, target: str) -> None:
    assert admit(key, target).__name__ == target.rpartition(".")[2]


def test_a_users_own_network_is_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_nets.py").write_text("import torch\nclass Net(torch.nn.Module):\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert admit("model", "my_nets.Net").__name__ == "Net"
    with pytest.raises(RefusedError, match=r"takes a subclass of torch\.optim\.Optimizer"):
        admit("optimizer", "my_nets.Net")


def test_a_slot_that_builds_takes_no_plain_value() -> None:
    tree = {"task": toy(bag=toy("Bag", all="${callbacks}")), "callbacks": {"a": 3, "b": None}}
    slots = (Slot("callbacks.*", Defined((TOY,))), *TOYS)
    assert findings(tree, slots=slots) == [
        f"callbacks.a: must have a _target_: it takes a class or function of {TOY}"
    ]


def test_the_default_table_is_used_unless_another_is_given() -> None:
    with pytest.raises(ConfigError, match=r"task takes a class or function of digits\.tasks"):
        check(OmegaConf.create({"task": toy()}))


def test_a_table_of_ones_own_says_what_is_tried_out_too() -> None:
    tree = {"task": toy(shape=toy("Shape", sides=13))}
    assert findings(tree) == []
    slots = (Slot("task.shape", Defined((TOY,)), probe="build"), *TOYS)
    assert findings(tree, slots=slots) == ["task.shape.sides: sides cannot be 13 bad luck"]


def test_every_slot_has_a_probe_that_exists() -> None:
    from digits.config.probe import PROBES

    assert {slot.probe for slot in SLOTS} - {None} <= set(PROBES)


def test_a_class_builds_by_a_method_of_its_own_too() -> None:
    assert Defined(("digits.monitoring",)).accepts(Signals.of_answers)


def test_what_is_neither_class_nor_function_builds_nothing() -> None:
    assert Defined((TOY,)).accepts(Colour)
    assert not Defined((TOY,)).accepts(Colour.RED)


def test_the_standard_library_is_not_imported_to_look_for_a_subclass() -> None:
    rule = Subclass("torch.nn.Module")
    assert rule.may("torch.nn.Linear")
    assert not rule.may("os.path.join")


def test_a_table_of_ones_own_says_where_something_is_built() -> None:
    slots = (Slot("task.bag", Defined((TOY,))), *TOYS)
    assert f"task.bag: must have a _target_: it takes a class or function of {TOY}" in findings(
        {"task": toy(bag=3)}, slots=slots
    )
    assert f"task.row: must have a _target_: it takes a class or function of {TOY}" not in findings(
        {"task": toy(row=3)}, slots=slots
    )


def test_a_target_that_is_missing_hides_no_other() -> None:
    tree = {"task": toy(shape={"_target_": "???"}, point=toy("Poin", x=1))}
    assert len(findings(tree)) == 2


def test_a_rule_may_ask_for_a_class_with_a_method() -> None:
    rule = Defined(("digits.promotion",), method="judge")
    assert rule.accepts(Gate)
    assert not rule.accepts(Verdict)
    assert not rule.accepts(mcnemar)
