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


def test_blank_pages_join_the_batch_with_all_digits_equally_likely():
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(7, 10, generator=random)
    labels = torch.tensor([0, 3, 9, 3, 1])
    asked = []

    def classify(pixels):
        asked.append(pixels)
        return logits

    pixels = torch.full((5, 28, 28), 7, dtype=torch.uint8)
    loss, answered = Supervised(0.1, blanks=2)(classify, pixels, labels)
    (batch,) = asked
    assert batch.shape == (7, 28, 28) and batch.dtype == torch.uint8
    assert (batch[:5] == 7).all() and not batch[5:].any()
    assert torch.equal(answered, logits[:5])
    targets = torch.full((7, 10), 0.1)
    targets[:5] *= 0.1
    targets[torch.arange(5), labels] += 0.9
    expected = -(targets * torch.log_softmax(logits, dim=1)).sum(1).mean()
    assert float(loss) == pytest.approx(float(expected), rel=1e-5)
