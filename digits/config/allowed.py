"""What may stand in each place of the configuration: the allow-list of ``_target_``.

A *slot* is a key path in which ``*`` stands for one name. The first slot whose pattern fits
decides; see ``rules`` for what it may take.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field

from digits.config.rules import AnyOf, Defined, Exactly, Rule, Subclass
from digits.config.targets import TargetError, locate


@dataclass(frozen=True)
class Slot:
    """One place of the tree.

    Attributes:
        pattern: key path; ``*`` is any one name, ``**`` any path.
        rule: what may stand there.
        must_build: a plain value there is a fault (null is not: it means none).
        receives: arguments that a partial gets when it is called; None when that is not known,
            and then what a partial lacks is no fault. To give one of them is a fault.
        narrows: argument -> what it must be, where its own annotation or default allows what no
            training can use.
        probe: name of the trial construction in ``probe.py``; None where building is left to
            the run itself.
    """

    pattern: str
    rule: Rule
    must_build: bool = True
    receives: frozenset[str] | None = None
    narrows: Mapping[str, Any] = field(default_factory=dict, hash=False)
    probe: str | None = None

    def fits(self, key: str) -> bool:
        """Tell whether ``key`` lies in this slot."""
        if self.pattern == "**":
            return True
        parts = [re.escape(part).replace(r"\*", r"[^.\[\]]+") for part in self.pattern.split(".")]
        return re.fullmatch(r"\.".join(parts), key) is not None


# What ``training/fit.py`` gives to the trainer.
OF_THE_TRAINER = frozenset(
    {
        "callbacks",
        "default_root_dir",
        "enable_checkpointing",
        "enable_model_summary",
        "enable_progress_bar",
        "logger",
        "plugins",
        "profiler",
    }
)
# Without a number of epochs Lightning trains for a thousand, or without end; with none, not at all.
SOME_TRAINING: Mapping[str, Any] = {
    "max_epochs": Annotated[int, Field(ge=1)],
    "max_steps": Literal[-1] | Annotated[int, Field(ge=1)],
    "limit_train_batches": Annotated[float, Field(gt=0)] | None,
}

SLOTS: tuple[Slot, ...] = (
    Slot("task", Defined(("digits.tasks",)), receives=frozenset({"record"})),
    Slot("data", Defined(("digits.data",), method="load"), probe="build"),
    Slot(
        "augmentation",
        Exactly(
            (
                "digits.data.augmentation.Augmentation",
                "digits.data.batched.BatchedAugmentation",
            )
        ),
        probe="augmentation",
    ),
    Slot(
        "augmentation.steps.*",
        AnyOf(
            (
                Subclass("digits.data.batched.BatchTransform"),
                Subclass("albumentations.BasicTransform"),
            )
        ),
        probe="build",
    ),
    Slot("model", Subclass("torch.nn.Module"), probe="model"),
    Slot(
        "optimizer",
        Subclass("torch.optim.Optimizer"),
        receives=frozenset({"params"}),
        probe="optimizer",
    ),
    Slot(
        "scheduler",
        AnyOf(
            (
                Defined(("digits.training.schedules",)),
                Subclass("torch.optim.lr_scheduler.LRScheduler"),
            )
        ),
        receives=frozenset({"optimizer", "total_steps", "steps_per_epoch"}),
        probe="scheduler",
    ),
    Slot(
        "trainer",
        Exactly(("pytorch_lightning.Trainer",)),
        receives=OF_THE_TRAINER,
        narrows=SOME_TRAINING,
        probe="trainer",
    ),
    Slot("callbacks.*", Subclass("pytorch_lightning.Callback"), probe="build"),
    Slot("explainer.*", Subclass("digits.evaluation.explainers.Explainer"), probe="build"),
    Slot("features", Exactly(("digits.features.store.FeatureStore",)), probe="build"),
    Slot("acquisition", Subclass("digits.active.acquisition.Acquisition"), probe="build"),
    Slot("gate", Exactly(("digits.promotion.gate.Gate",))),
    Slot("loop", Exactly(("digits.tasks.turn.plan.Plan",))),
    Slot("drift", Exactly(("digits.monitoring.limits.Limits",))),
    Slot("pipeline", Defined(("pipelines",), method="run")),
    Slot("pipeline.*", Defined(("pipelines.pods",)), must_build=False),
    Slot("deployment", Defined(("digits.deployment",), method="apply")),
    Slot(
        "serving",
        Exactly(("serving.settings.Settings",)),
        receives=frozenset({"pointer", "deployment"}),
    ),
    Slot("serving.*", Defined(("serving.settings",)), must_build=False),
    Slot("**", Defined(("digits",)), must_build=False),
)


class RefusedError(Exception):
    """A ``_target_`` that may not stand where it stands; the message says what may."""


def slot_of(key: str, slots: Sequence[Slot] | None = None) -> Slot:
    """Return the slot that ``key`` lies in; ``slots`` are ours unless given."""
    table = SLOTS if slots is None else slots
    return next(slot for slot in table if slot.fits(key))


def admit(key: str, dotted: Any, slots: Sequence[Slot] | None = None) -> Any:
    """Return the object that ``dotted`` names, if it may stand at ``key``.

    Raises:
        RefusedError: it may not, it does not exist, or it does not import.
    """
    slot = slot_of(key, slots)
    if not isinstance(dotted, str):
        raise RefusedError(f"must be the dotted name of {slot.rule.describe()}")
    refusal = f"{dotted} is not allowed here: {key} takes {slot.rule.describe()}"
    if not slot.rule.may(dotted):
        raise RefusedError(refusal)
    try:
        target = locate(dotted)
        accepted = slot.rule.accepts(target)
    except TargetError as error:
        raise RefusedError(str(error)) from error
    if not accepted:
        raise RefusedError(refusal)
    return target
