"""One model, trained for real in seconds by the program's own configuration, that all tests ask."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from scipy.special import softmax

from digits.config import resolvers
from digits.config.instantiate import instantiate
from digits.contract.preprocessing import Preprocessing
from digits.data.types import Digits
from digits.evaluation.calibration import fit_temperature
from digits.evaluation.classify import Classify, torch_classifier
from digits.models.inference import Inference
from digits.training.callbacks import History
from digits.training.training import Training

CONF = Path(__file__).resolve().parents[2] / "conf"
#: the main job, cut short: 8 of 20 epochs, the augmentation's faster twin
OVERRIDES = ["trainer.max_epochs=8", "augmentation=affine_batched", "loader.num_workers=0"]


@dataclass(frozen=True)
class Trained:
    """A model as it is used: behind the preprocessing, calibrated on its validation split."""

    data: Digits
    preprocess: Preprocessing
    classify: Classify
    temperature: float

    def probabilities(self, images):
        """Of prepared images uint8 ``[N, 28, 28]``, float ``[N, 10]``."""
        return softmax(self.classify(images) / self.temperature, axis=1)

    def confidence(self, images):
        """Of each answer, in 0..1, ``[N]``."""
        return self.probabilities(images).max(1)

    def answers(self, images):
        """The digits that are named, int64 ``[N]``."""
        return self.classify(images).argmax(1)


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """The default network on the scans that ship inside."""
    folder = tmp_path_factory.mktemp("trained")
    resolvers.register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        paths = [f"paths.root={folder}", f"paths.output={folder}"]
        config = compose("config", [*OVERRIDES, *paths])
    torch.manual_seed(config.seed)
    parts = instantiate(config.task).keywords
    names = ("source", "loaders", "classifier", "trainer")
    training = Training(*(parts[name] for name in names), callbacks={})
    data = training.source.load()
    training.fit(data, History(lambda metrics, epoch: None), folder=folder)
    standard = Preprocessing()
    network = Inference(training.classifier.network, mean=standard.mean, std=standard.std)
    classify = torch_classifier(network)
    logits = classify(data.validation.images)
    return Trained(data, standard, classify, fit_temperature(logits, data.validation.labels))


@pytest.fixture
def random():
    """Draws of each test's own."""
    return np.random.default_rng(0)
