"""Batched augmentation of grey levels: light, contrast, noise."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from digits.data.batched import BatchTransform, Fraction, Probability
from digits.data.draws import each, smooth_field, uniform
from digits.data.ranges import Range, ascending, written

SpanOfFractions = tuple[Fraction, Fraction]


class Light(BatchTransform):
    """Faint ink on a background that is neither black nor even.

    A pixel becomes ``background + relief * surface + contrast * pixel`` in units of the full
    range, cut at both ends; the surface is smooth, random and spans 0 to 1.

    Args:
        background: range of the darkest background, as a fraction of the full range.
        relief: range of how far the surface rises above it, likewise.
        contrast: range of the height of full ink above the background under it, likewise.
        sigma: range of the surface's smoothness in pixels, above 0.
        p: probability of transforming an image.

    Raises:
        ValueError: a range that runs backwards, or a smoothness of 0.
    """

    def __init__(
        self,
        *,
        background: SpanOfFractions = (0.0, 0.3),
        relief: SpanOfFractions = (0.0, 0.3),
        contrast: SpanOfFractions = (0.5, 1.0),
        sigma: Range = (3.0, 12.0),
        p: Probability = 0.5,
    ) -> None:
        super().__init__(p)
        self.background = ascending("background", background)
        self.relief = ascending("relief", relief)
        self.contrast = ascending("contrast", contrast)
        self.sigma = ascending("sigma", sigma)
        if sigma[0] <= 0:
            raise ValueError(f"sigma must be above 0, not {written(sigma)}")

    def transform(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Relight float32 ``[N, 1, H, W]``."""
        count, _, height, width = images.shape
        background, relief, contrast = (
            each(uniform(count, bounds, generator))
            for bounds in (self.background, self.relief, self.contrast)
        )
        surface = smooth_field(count, height, width, self.sigma, generator)
        under = 255 * (background + relief * surface)
        return (under + contrast * images).clamp_(0, 255)


class Bands(BatchTransform):
    """Dark ink on a light ground in a part of the image: a band at any place and angle.

    Args:
        width: range of the band's width as a fraction of the image's side.
        p: probability of transforming an image.

    Raises:
        ValueError: a range that runs backwards.
    """

    def __init__(self, *, width: SpanOfFractions = (0.1, 0.5), p: Probability = 0.5) -> None:
        super().__init__(p)
        self.width = ascending("width", width)

    def transform(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Invert a band of each image of float32 ``[N, 1, H, W]``."""
        count, _, height, width = images.shape
        angle = each(uniform(count, (0, math.pi), generator))
        place = each(uniform(count, (-0.5, 0.5), generator))
        half = each(uniform(count, self.width, generator)) / 2
        down = torch.linspace(-0.5, 0.5, height).unsqueeze(1)
        across = torch.linspace(-0.5, 0.5, width)
        distance = (across * torch.cos(angle) + down * torch.sin(angle) - place).abs()
        # A warp before this may have left a pixel above 255, by rounding.
        return torch.where(distance < half, (255 - images).clamp_(min=0), images)


class Noise(BatchTransform):
    """Gaussian noise, the same strength at every pixel, cut to the range of pixels.

    Args:
        deviation: range of the standard deviation, as a fraction of the full range.
        p: probability of transforming an image.

    Raises:
        ValueError: a range that runs backwards.
    """

    def __init__(self, *, deviation: SpanOfFractions = (0.0, 0.2), p: Probability = 0.5) -> None:
        super().__init__(p)
        self.deviation = ascending("deviation", deviation)

    def transform(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Add noise to float32 ``[N, 1, H, W]``."""
        deviation = each(uniform(len(images), self.deviation, generator))
        noise = torch.randn(images.shape, generator=generator)
        return (images + 255 * deviation * noise).clamp_(0, 255)
