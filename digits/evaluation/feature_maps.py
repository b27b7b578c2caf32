"""The last feature maps of a convolutional network, and where they lie on the image."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class FeatureMap:
    """Where a network's last feature maps come out.

    Attributes:
        module: what computes them.
        side: of the image, in pixels.
        crop: border pixels that the network does not look at: left, right, top, bottom.
    """

    module: nn.Module
    side: int
    crop: tuple[int, int, int, int]


def last_feature_map(network: nn.Module, pixels: Tensor) -> FeatureMap | None:
    """Find the last convolution by running the network, and what makes its final maps of it.

    That is the last module that keeps its resolution: the ReLU after it, and in a residual network
    the one after the sum.

    Args:
        network: pixels -> logits.
        pixels: ``[1, 28, 28]``.

    Returns:
        None for a network without convolutions.
    """
    calls = _calls(network, pixels)
    places = [place for place, (module, _) in enumerate(calls) if isinstance(module, nn.Conv2d)]
    if not places:
        return None
    module, shape = calls[places[-1]]
    for following, size in calls[places[-1] + 1 :]:
        if size[2:] != shape[2:] or len(size) != len(shape):
            break
        module = following
    pads = [each.padding for each, _ in calls[: places[0]] if isinstance(each, nn.ZeroPad2d)]
    left, right, top, bottom = (-sum(pad[side] for pad in pads) for side in range(4))
    return FeatureMap(module, pixels.shape[-1], (left, right, top, bottom))


def _calls(network: nn.Module, pixels: Tensor) -> list[tuple[nn.Module, torch.Size]]:
    """Return the innermost modules in the order they are called, each with its output's shape."""
    calls: list[tuple[nn.Module, torch.Size]] = []
    handles = [
        module.register_forward_hook(
            lambda module, inputs, output: calls.append((module, output.shape))
        )
        for module in network.modules()
        if next(module.children(), None) is None
    ]
    try:
        with torch.inference_mode():
            network(pixels)
    finally:
        for handle in handles:
            handle.remove()
    return calls


def spread_out(maps: Tensor, found: FeatureMap) -> Tensor:
    """Bring maps ``[N, C, h, w]`` to ``[N, C, side, side]``, zero where the network is blind."""
    left, right, top, bottom = found.crop
    seen = (found.side - top - bottom, found.side - left - right)
    maps = functional.interpolate(maps, seen, mode="bilinear", align_corners=False)
    return functional.pad(maps, (left, right, top, bottom))
