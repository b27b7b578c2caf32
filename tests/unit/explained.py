"""A network of pixels for tests of explanations, and digits to explain."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from digits.models.inference import Inference
from digits.models.networks import Tiny


class Weighted(nn.Module):
    """Logits are sums of pixels, weighted by known numbers."""

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.linear = nn.Linear(784, 10, bias=False)
        self.linear.weight = nn.Parameter(weights)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.linear(pixels.float().flatten(1))


def weighted(seed: int = 0) -> tuple[Weighted, np.ndarray]:
    """Return such a network and its weights float32 ``[10, 28, 28]``."""
    weights = torch.randn(10, 784, generator=torch.Generator().manual_seed(seed)) / 100
    return Weighted(weights), weights.view(10, 28, 28).numpy()


def small() -> Inference:
    """Return a convolutional network with random weights."""
    torch.manual_seed(3)
    return Inference(Tiny([4, 8], pool_after=[1]), mean=0.13, std=0.31).eval()
