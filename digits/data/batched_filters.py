"""Batched augmentation by neighbourhoods: random convolutions, thicker and thinner strokes."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from digits.data.batched import BatchTransform, Fraction, Probability
from digits.data.draws import each, uniform, whole
from digits.data.ranges import Range, ascending, written

Reach = Annotated[int, Field(ge=0, le=8)]


class RandomConvolution(BatchTransform):
    """Each image seen through a small linear filter of its own, with random weights.

    Keeps the shape and changes the texture: strokes come out blurred, doubled, hollow, as
    outlines. After Xu et al., "Robust and generalizable visual representation learning via random
    convolutions", 2021, in which the mixture with the original is the paper's too. Here the
    filtered image is scaled to the full range and folded at zero, so that the empty background of
    a digit stays empty.

    Args:
        reach: fewest and most pixels from the middle of the filter to its edge; 2 is 5 x 5.
        balance: range of the share of a filter's mean that is taken from its weights; at 1 an even
            area vanishes and its outline is left.
        gain: range of the brightest value as a multiple of the full range, where it is cut.
        strength: range of the share of the filtered image in the result.
        p: probability of transforming an image.

    Raises:
        ValueError: a range that runs backwards.
    """

    def __init__(
        self,
        *,
        reach: tuple[Reach, Reach] = (1, 2),
        balance: tuple[Fraction, Fraction] = (0.0, 1.0),
        gain: Range = (1.0, 2.0),
        strength: tuple[Fraction, Fraction] = (0.0, 1.0),
        p: Probability = 0.5,
    ) -> None:
        super().__init__(p)
        fewest, most = ascending("reach", reach)
        self.reach = int(fewest), int(most)
        self.balance = ascending("balance", balance)
        self.gain = ascending("gain", gain)
        self.strength = ascending("strength", strength)
        if gain[0] <= 0:
            raise ValueError(f"gain must be above 0, not {written(gain)}")

    def transform(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Filter float32 ``[N, 1, H, W]``; beyond the border the image goes on as it ends."""
        count, most = len(images), self.reach[1]
        padded = functional.pad(images, (most,) * 4, mode="replicate")
        # One group per image: each filter sees its own image only.
        filters = self._filters(count, generator)
        filtered = functional.conv2d(padded.transpose(0, 1), filters, groups=count).transpose(0, 1)
        peak = filtered.abs().amax((1, 2, 3), keepdim=True).clamp_min(1e-6)
        gain = each(uniform(count, self.gain, generator))
        share = each(uniform(count, self.strength, generator))
        filtered = (filtered * (255 * gain / peak)).clamp_(-255, 255)
        return torch.lerp(images, filtered, share).abs_()

    def _filters(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw float32 ``[N, 1, K, K]``, K the largest side; a smaller filter has a rim of 0."""
        most = self.reach[1]
        weights = torch.randn(count, 1, 2 * most + 1, 2 * most + 1, generator=generator)
        distance = torch.arange(-most, most + 1).abs()
        square = torch.maximum(distance.unsqueeze(1), distance)
        inside = square <= each(whole(count, self.reach, generator))
        mean = (weights * inside).sum((2, 3), True) / inside.sum((2, 3), True)
        # A filter of one pixel is its mean, and has no outline to leave.
        balance = each(uniform(count, self.balance, generator)).minimum(
            inside.sum((2, 3), True) - 1
        )
        return (weights - balance * mean) * inside


class Thickness(BatchTransform):
    """Thicker or thinner strokes: each pixel takes the greatest, or least, value around it.

    Dilation and erosion by a cross of 3 x 3, mixed with the original by a random share.

    Args:
        strength: range of the share; below 0 strokes get thinner, above 0 thicker, -1 and 1 are
            the full erosion and dilation.
        p: probability of transforming an image.

    Raises:
        ValueError: a range that runs backwards.
    """

    def __init__(
        self,
        *,
        strength: tuple[
            Annotated[float, Field(ge=-1, le=1)], Annotated[float, Field(ge=-1, le=1)]
        ] = (-0.5, 1.0),
        p: Probability = 0.5,
    ) -> None:
        super().__init__(p)
        self.strength = ascending("strength", strength)

    def transform(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Thicken or thin the strokes of float32 ``[N, 1, H, W]``."""
        strength = each(uniform(len(images), self.strength, generator))
        # Thinning ink is thickening what is around it.
        signed = images * strength.sign()
        upright = functional.max_pool2d(signed, (3, 1), stride=1, padding=(1, 0))
        across = functional.max_pool2d(signed, (1, 3), stride=1, padding=(0, 1))
        changed = torch.maximum(upright, across) * strength.sign()
        return torch.lerp(images, changed, strength.abs())
