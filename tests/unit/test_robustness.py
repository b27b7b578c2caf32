"""Accuracy under corruption, and that corruptions are for judging only."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

from digits.evaluation.corruptions import CORRUPTIONS, corrupt
from digits.evaluation.robustness import corrupted, robustness
from tests.unit.samples import lopsided_digit

ROOT = Path(__file__).resolve().parents[2]
IMAGES = np.stack([lopsided_digit(), np.zeros((28, 28), np.uint8)])


def finds_ink(images):
    """Name 1 where any pixel is black, else 0."""
    logits = np.zeros((len(images), 10), np.float32)
    logits[np.arange(len(images)), (images > 0).any((1, 2)).astype(int)] = 1
    return logits


def test_accuracy_by_name_and_progress_in_order():
    heard = []
    found = robustness(finds_ink, IMAGES, np.array([1, 0]), seed=2, progress=heard.append)
    assert heard == list(found) == list(CORRUPTIONS)
    inked = {"impulse_noise", "brightness", "stripe", "spatter", "dotted_line", "zigzag"}
    assert found == {name: 0.5 if name in inked else 1.0 for name in CORRUPTIONS}


def test_several_models_can_be_asked_about_the_same_images():
    for name, spoilt in corrupted(IMAGES, seed=5):
        np.testing.assert_array_equal(spoilt, corrupt(name, IMAGES, seed=5))


def test_no_images_have_no_accuracy():
    with pytest.raises(ValueError, match="no images"):
        robustness(finds_ink, IMAGES[:0], np.zeros(0, np.int64))


def imported(folder: str) -> set[str]:
    """Modules that the code below ``folder`` imports."""
    names: set[str] = set()
    for file in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                names |= {f"{node.module}.{alias.name}" for alias in node.names}
            elif isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
    return names


def test_evaluation_and_augmentation_share_no_code():
    assert imported("digits/evaluation/corruptions") == {
        name for name in imported("digits/evaluation/corruptions")
        if name.split(".")[0] != "digits" or name.startswith("digits.evaluation.corruptions")
    }  # fmt: skip
    augmenting = ("albumentations", "digits.data.augment", "digits.data.batched")
    assert not [name for name in imported("digits/evaluation") if name.startswith(augmenting)]
    for floor in ("data", "models", "training"):
        assert not [name for name in imported(f"digits/{floor}") if "corruptions" in name]
    written = [file.read_text(encoding="utf-8") for file in (ROOT / "conf").rglob("*.yaml")]
    assert not [text for text in written if "evaluation.corruptions" in text]
