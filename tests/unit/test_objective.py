"""What a training step learns from."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from digits.models.objective import Supervised


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_loss_is_the_cross_entropy_with_smoothed_targets(smoothing):
    logits = np.random.default_rng(0).normal(size=(5, 10)).astype(np.float32)
    labels = np.array([0, 3, 9, 3, 1])
    targets = np.full((5, 10), smoothing / 10)
    targets[np.arange(5), labels] += 1 - smoothing
    expected = -(targets * log_softmax(logits, axis=1)).sum(1).mean()
    loss, answered = Supervised(smoothing)(
        lambda pixels: torch.from_numpy(logits), torch.zeros(5, 28, 28), torch.from_numpy(labels)
    )
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    assert np.array_equal(answered.numpy(), logits)
