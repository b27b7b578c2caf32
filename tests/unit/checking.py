"""What the tests of the configuration check share: trees of toys, and of real libraries."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig, OmegaConf

from digits.config.allowed import SLOTS, Slot
from digits.config.check import check
from digits.config.rules import Defined
from digits.errors import ConfigError

TOY = "tests.unit.targets"
TOYS = (Slot("**", Defined((TOY,)), must_build=False),)
#: the slots of the program itself, with a task of toys
REAL = (
    *(slot for slot in SLOTS if slot.pattern not in ("task", "**")),
    Slot("**", Defined((TOY,)), must_build=False),
)


def findings(
    tree: dict[str, Any] | DictConfig, slots: tuple[Slot, ...] = TOYS, **options: Any
) -> list[str]:
    """What the check says of a tree, a line for each fault."""
    try:
        check(OmegaConf.create(tree), slots=slots, **options)
    except ConfigError as error:
        return [str(finding) for finding in error.findings]
    return []


def toy(name: str = "task", /, **arguments: Any) -> dict[str, Any]:
    """A node of tests/unit/targets.py."""
    return {"_target_": f"{TOY}.{name}", **arguments}


def real(**changes: Any) -> DictConfig:
    """A sound tree of real libraries; ``__`` in the name of a change is the dot of its key."""
    tree = {
        "task": toy(
            bag=toy("Bag", parts=["${optimizer}", "${scheduler}", "${trainer}", "${augmentation}"])
        ),
        "optimizer": {"_target_": "torch.optim.Adam", "_partial_": True, "lr": 0.01},
        "scheduler": {
            "_target_": "torch.optim.lr_scheduler.OneCycleLR",
            "_partial_": True,
            "max_lr": 0.1,
        },
        "trainer": {
            "_target_": "pytorch_lightning.Trainer",
            "_partial_": True,
            "accelerator": "cpu",
            "max_epochs": 1,
        },
        "augmentation": {
            "_target_": "digits.data.augmentation.Augmentation",
            "steps": {"rotate": {"_target_": "albumentations.Affine", "rotate": [-9, 9]}},
        },
    }
    config = OmegaConf.create(tree)
    for key, value in changes.items():
        OmegaConf.update(config, key.replace("__", "."), value, force_add=True)
    return config
