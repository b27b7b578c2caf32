"""The check tries out networks, callbacks and augmentations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.checking import REAL, findings, toy


def of_model(target: str, **arguments: Any) -> list[str]:
    node = {"_target_": target, **arguments}
    return findings({"task": toy(bag=toy("Bag", it="${model}")), "model": node}, slots=REAL)


def test_a_network_is_asked_for_one_answer() -> None:
    assert of_model("digits.models.networks.Cnn", channels=[4, 4]) == []
    (fault,) = of_model("digits.models.networks.Cnn", channels=[8] * 6)
    assert fault.startswith("model: cannot take images [2, 1, 28, 28]: ")
    assert of_model("torch.nn.Identity") == ["model: has no weights that could be trained"]
    assert of_model("torch.nn.Linear", in_features=28, out_features=3) == [
        "model: must make logits [2, 10] of images [2, 1, 28, 28], not float32 [2, 1, 28, 3]"
    ]
    assert of_model("torch.nn.Conv2d", in_channels=1, out_channels=3, kernel_size=3, groups=2) == [
        "model: in_channels must be divisible by groups"
    ]


def test_a_trial_network_leaves_the_random_numbers_alone() -> None:
    import torch

    state = torch.get_rng_state()
    assert of_model("digits.models.networks.Linear") == []
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("EMAWeightAveraging", {"decay": 2}, "decay"),
        ("ModelCheckpoint", {"save_top_k": -2}, "callbacks.it.save_top_k"),
        ("ModelCheckpoint", {"mode": "up"}, "callbacks.it.mode"),
        ("ModelCheckpoint", {"save_top_k": 2}, "monitor"),
    ],
)
def test_a_callback_that_cannot_be_built_is_found(
    name: str, arguments: dict[str, Any], message: str
) -> None:
    (fault,) = of_callback(name, **arguments)
    assert fault.startswith("callbacks.it") and message in fault


def test_a_callback_is_tried_out_without_a_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert of_callback("ModelCheckpoint", dirpath="nowhere/at/all") == []
    assert list(tmp_path.iterdir()) == []


def of_callback(name: str, **arguments: Any) -> list[str]:
    node = {"_target_": f"pytorch_lightning.callbacks.{name}", **arguments}
    tree = {"task": toy(bag=toy("Bag", it="${callbacks}")), "callbacks": {"it": node}}
    return findings(tree, slots=REAL)


def of_step(kind: str, step: dict[str, Any]) -> list[str]:
    node = {"_target_": f"digits.data.{kind}", "steps": {"it": step}}
    tree = {"task": toy(bag=toy("Bag", it="${augmentation}")), "augmentation": node}
    return findings(tree, slots=REAL)


@pytest.mark.parametrize(
    ("step", "made"),
    [
        (
            {"_target_": "albumentations.Resize", "height": 32, "width": 32},
            "uint8 [2, 32, 32] in 0..0",
        ),
        ({"_target_": "albumentations.Normalize", "mean": [0.1], "std": [0.3]}, "float32 [2, 28, "),
    ],
)
def test_an_augmentation_has_to_leave_images_what_they_are(step: dict[str, Any], made: str) -> None:
    (fault,) = of_step("augmentation.Augmentation", step)
    expected = "augmentation: must keep images [2, 28, 28] of uint8 or float32 in 0..255, not make "
    assert fault.startswith(f"{expected}{made}")


def test_an_augmentation_may_use_the_whole_range() -> None:
    assert of_step("augmentation.Augmentation", {"_target_": "albumentations.InvertImg"}) == []


@pytest.mark.parametrize(
    ("step", "fault"),
    [
        (
            {"_target_": "digits.data.batched.Affine", "rotate": [9, -9], "p": 1.0},
            "augmentation.steps.it.rotate: rotate must run from low to high, not [9, -9]",
        ),
        (
            {"_target_": "digits.data.batched.CoarseDropout", "num_holes_range": [3, 1]},
            "augmentation.steps.it.num_holes_range: "
            "num_holes_range must run from low to high, not [3, 1]",
        ),
    ],
)
def test_a_range_that_runs_backwards_is_reported_at_its_key(
    step: dict[str, Any], fault: str
) -> None:
    assert of_step("batched.BatchedAugmentation", step) == [fault]
