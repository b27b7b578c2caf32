"""What a network knows of an image before it answers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def with_features(model: nn.Module, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the logits ``[N, 10]`` of pixels ``[N, 28, 28]``, and their features ``[N, D]``.

    Features are what the last linear layer reads; a network without one has its pixels.
    """
    linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
    return _watched(model, pixels, linear[-1:])


def with_all_features(model: nn.Module, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """The same with what every linear layer reads, and every pooling of whole feature maps."""
    readers = (nn.Linear, nn.AdaptiveAvgPool2d)
    return _watched(model, pixels, [each for each in model.modules() if isinstance(each, readers)])


def _watched(
    model: nn.Module, pixels: Tensor, readers: Sequence[nn.Module]
) -> tuple[Tensor, Tensor]:
    seen: list[Tensor] = []
    handles = [
        reader.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].flatten(1)))
        for reader in readers
    ]
    try:
        logits = model(pixels)
    finally:
        for handle in handles:
            handle.remove()
    if not seen:
        seen.append(pixels.float().flatten(1))
    return logits, seen[0] if len(seen) == 1 else torch.cat(seen, dim=1)
