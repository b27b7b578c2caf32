"""The check against real libraries: their signatures, and what their constructors say."""

from __future__ import annotations

import time
from typing import Any

import pytest

from digits.config.allowed import OF_THE_TRAINER
from tests.unit.checking import REAL, findings, real


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimizer__lr": "ten"}, 'optimizer.lr: must be a number, not "ten"'),
        ({"optimizer__lr": -1}, "optimizer.lr: Invalid learning rate: -1"),
        ({"optimizer__amsgrat": True}, "did you mean amsgrad?"),
        ({"optimizer__betas": [0.9, "x"]}, 'optimizer.betas[1]: must be a number, not "x"'),
        ({"optimizer___target_": "torch.optim.Adamm"}, "did you mean Adam or"),
        ({"scheduler__pct_start": 7}, "scheduler.pct_start: Expected float between 0 and 1"),
        (
            {"trainer__accelerator": "foo"},
            "trainer.accelerator: You selected an invalid accelerator",
        ),
        (
            {"trainer__max_epochs": 1.5},
            "trainer.max_epochs: must be a whole number, not 1.5",
        ),
        ({"trainer__max_epoch": 1}, "did you mean max_epochs"),
        ({"trainer__max_epochs": 0}, "trainer.max_epochs: must be at least 1, not 0"),
        ({"trainer__max_epochs": -1}, "trainer.max_epochs: must be at least 1, not -1"),
        ({"trainer__max_epochs": None}, "trainer.max_epochs: must be a whole number, not null"),
        ({"trainer__max_steps": 0}, "trainer.max_steps: must be at least 1, not 0"),
        (
            {"trainer__limit_train_batches": 0},
            "trainer.limit_train_batches: must be greater than 0, not 0",
        ),
        *(
            ({f"trainer__{name}": None}, f"trainer.{name}: is set by the task itself")
            for name in sorted(OF_THE_TRAINER)
        ),
        ({"scheduler__total_steps": 5}, "scheduler.total_steps: is set by the task itself"),
        (
            {"scheduler__steps_per_epoch": 5},
            "scheduler.steps_per_epoch: is set by the task itself",
        ),
        ({"optimizer__params": []}, "optimizer.params: is set by the task itself"),
        ({"augmentation__steps__rotate__rotate": "x"}, "augmentation.steps.rotate.rotate: must be"),
        (
            {"augmentation__steps__rotate__p": 2},
            "augmentation.steps.rotate.p: input should be less",
        ),
        ({"augmentation__steps__rotate__rotat": 2}, "did you mean rotate?"),
    ],
)
def test_what_only_the_library_knows_is_found_too(changes: dict[str, Any], message: str) -> None:
    faults = findings(real(**changes), slots=REAL)
    assert len(faults) == 1
    assert message in faults[0]


@pytest.mark.parametrize(
    "changes",
    [
        {"trainer__max_steps": -1},
        {"trainer__max_steps": 10},
        {"trainer__limit_train_batches": None},
        {"trainer__limit_train_batches": 3},
        {"trainer__limit_train_batches": 0.5},
        {"trainer__limit_val_batches": 0},
    ],
)
def test_a_shorter_training_is_no_fault(changes: dict[str, Any]) -> None:
    assert findings(real(**changes), slots=REAL) == []


def test_a_trainer_without_a_number_of_epochs_is_a_fault() -> None:
    config = real()
    del config.trainer["max_epochs"]
    assert findings(config, slots=REAL) == ["trainer.max_epochs: must be a whole number, not null"]


def test_the_real_tree_is_sound_and_quick_to_check() -> None:
    config = real()
    assert findings(config, slots=REAL) == []
    start = time.process_time()
    findings(config, slots=REAL)
    assert time.process_time() - start < 1.0  # about 0.1; the rest is for a busy machine


def test_nothing_is_built_where_it_is_not_wanted() -> None:
    assert findings(real(optimizer__lr=-1), slots=REAL, probe=False) == []


def test_what_only_a_partial_receives_is_missing_without_one() -> None:
    assert findings(real(optimizer___partial_=False), slots=REAL) == [
        "optimizer.params: required by torch.optim.Adam, not given"
    ]


def test_hardware_that_is_missing_is_a_fault_unless_the_job_is_for_another_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from pytorch_lightning.accelerators import CUDAAccelerator, MPSAccelerator

    for kind in (CUDAAccelerator, MPSAccelerator):
        monkeypatch.setattr(kind, "is_available", staticmethod(lambda: False))
    config = real(trainer__accelerator="gpu")
    assert findings(config, slots=REAL) == ["trainer.accelerator: No supported gpu backend found!"]
    assert findings(config, slots=REAL, elsewhere=True) == []


def test_an_argument_that_albumentations_would_drop_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from digits.config import signatures

    # As for a transform whose signature hides what it takes.
    monkeypatch.setattr(signatures, "bind", lambda *args, **options: iter(()))
    faults = findings(real(augmentation__steps__rotate__rotat=2), slots=REAL)
    assert len(faults) == 1 and "not valid for transform Affine" in faults[0]
