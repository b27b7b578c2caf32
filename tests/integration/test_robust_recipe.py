"""The robust recipe: its steps, and what its benchmark says that they are kin to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_dir

from digits.config import resolvers
from digits.config.instantiate import instantiate
from digits.evaluation.corruptions import CORRUPTIONS
from scripts.benchmarks.robust import KINSHIP, UNSEEN
from tests.unit.samples import lopsided_digit

CONF = Path(__file__).resolve().parents[2] / "conf"


@pytest.fixture(scope="module")
def augmentation() -> Any:
    resolvers.register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", ["experiment=mnist_robust", "paths.output=somewhere"])
    return instantiate(config.augmentation)


def test_every_family_is_said_to_be_seen_or_unseen(augmentation: Any) -> None:
    assert list(KINSHIP) == list(CORRUPTIONS)
    assert {step for step, _ in KINSHIP.values() if step} <= set(augmentation.steps)
    assert 0 < len(UNSEEN) < len(CORRUPTIONS)


def test_no_step_comes_from_the_evaluation(augmentation: Any) -> None:
    modules = {type(step).__module__.split(".")[1] for step in augmentation.steps.values()}

    assert modules == {"data"}


def test_all_steps_together_keep_images_what_they_are(augmentation: Any) -> None:
    images = np.repeat(lopsided_digit()[None], 500, axis=0)

    augmented = augmentation(images, [(0, 0, index) for index in range(500)]).numpy()

    assert augmented.shape == images.shape
    assert augmented.dtype == np.float32
    assert augmented.min() >= 0
    assert augmented.max() <= 255.01
    # Few are spared by every step; the mean of all still has its ink where the digit has.
    assert len(np.unique(augmented, axis=0)) > 0.9 * len(images)
    mean, digit = augmented.mean(axis=0), images[0]
    assert mean[digit > 200].mean() > 1.5 * mean[digit == 0].mean()
