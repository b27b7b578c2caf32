"""Random numbers and fields that the batched augmentation steps share."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from digits.data.ranges import Range


def uniform(count: int, bounds: Range, generator: torch.Generator) -> Tensor:
    """Draw float32 ``[count]`` between the bounds."""
    low, high = bounds
    return torch.rand(count, generator=generator) * (high - low) + low


def whole(count: int, bounds: tuple[int, int], generator: torch.Generator) -> Tensor:
    """Draw int64 ``[count]`` between the bounds, both included."""
    low, high = bounds
    return torch.randint(low, high + 1, (count,), generator=generator)


def each(values: Tensor) -> Tensor:
    """Shape ``[N]`` as ``[N, 1, 1, 1]``, one value for each image."""
    return values.view(-1, 1, 1, 1)


def smooth_field(
    count: int, height: int, width: int, sigma: Range, generator: torch.Generator
) -> Tensor:
    """Draw smooth random surfaces, float32 ``[count, 1, height, width]``, each spanning 0 to 1.

    White noise, smoothed by a Gaussian of a width of its own.

    Args:
        count: surfaces to draw.
        height: rows in pixels.
        width: columns in pixels.
        sigma: range of the standard deviation in pixels, above 0; its logarithm is drawn evenly.
        generator: draws.
    """
    low, high = sigma
    widths = torch.exp(uniform(count, (math.log(low), math.log(high)), generator))
    noise = torch.randn(count, height, width, generator=generator)
    field = _smoothing(height, widths) @ noise @ _smoothing(width, widths).transpose(1, 2)
    lowest, highest = field.amin((1, 2), keepdim=True), field.amax((1, 2), keepdim=True)
    return ((field - lowest) / (highest - lowest)).unsqueeze(1)


def _smoothing(side: int, sigma: Tensor) -> Tensor:
    """Return ``[N, side, side]``: row i holds the weights that make pixel i of a smoothed line."""
    position = torch.arange(side, dtype=torch.float32)
    distance = position.unsqueeze(1) - position
    return torch.softmax(-0.5 * (distance / sigma.view(-1, 1, 1)) ** 2, dim=2)
