"""A trained network as it is used: pixels in, logits out, no Lightning around it."""

from __future__ import annotations

from torch import Tensor, nn


class Inference(nn.Module):
    """The network with its standardisation: what is exported, evaluated and explained.

    Args:
        network: float32 ``[N, 1, 28, 28]``, standardised -> logits ``[N, 10]``.
        mean, std: of the training pixels, in 0..1.
    """

    def __init__(self, network: nn.Module, *, mean: float, std: float) -> None:
        super().__init__()
        self.network = network
        self.mean = mean
        self.std = std

    def forward(self, pixels: Tensor) -> Tensor:
        """Classify ``[N, 28, 28]`` of uint8, or float32 in 0..255; logits float32 ``[N, 10]``.

        Differentiable in float pixels.
        """
        images = pixels.float().unsqueeze(1) / (255 * self.std) - self.mean / self.std
        return self.network(images)
