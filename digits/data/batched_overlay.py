"""Batched augmentation by what lies over a digit: stray strokes."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from digits.data.batched import BatchTransform, Fraction, Probability
from digits.data.draws import each, uniform, whole
from digits.data.ranges import Range, ascending, written

Count = Annotated[int, Field(ge=1, le=16)]


class Strokes(BatchTransform):
    """Random polylines drawn over the digit, as a pen would that was not lifted in time.

    A line starts anywhere in the image and turns by any angle at each corner. Where it meets the
    digit, the brighter of the two is seen.

    Args:
        segments: fewest and most straight pieces of a line.
        length: range of the length of a piece as a fraction of the image's width.
        thickness: range in pixels, above 0.
        ink: range of the line's brightness as a fraction of the full range.
        p: probability of transforming an image.

    Raises:
        ValueError: a range that runs backwards, or a thickness of 0.
    """

    def __init__(
        self,
        *,
        segments: tuple[Count, Count] = (1, 4),
        length: Range = (0.1, 0.5),
        thickness: Range = (1.0, 2.0),
        ink: tuple[Fraction, Fraction] = (0.5, 1.0),
        p: Probability = 0.5,
    ) -> None:
        super().__init__(p)
        fewest, most = ascending("segments", segments)
        self.segments = int(fewest), int(most)
        self.length = ascending("length", length)
        self.thickness = ascending("thickness", thickness)
        self.ink = ascending("ink", ink)
        if thickness[0] <= 0:
            raise ValueError(f"thickness must be above 0, not {written(thickness)}")

    def transform(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Draw one line on each image of float32 ``[N, 1, H, W]``."""
        count, _, height, width = images.shape
        most = self.segments[1]
        angle = uniform(count * most, (0, 2 * math.pi), generator)
        length = uniform(count * most, self.length, generator) * width
        pieces = torch.stack([length * torch.cos(angle), length * torch.sin(angle)], dim=1)
        size = torch.tensor([width - 1.0, height - 1.0])
        start = torch.rand(count, 1, 2, generator=generator) * size
        corners = torch.cat([start, pieces.view(count, most, 2)], dim=1).cumsum(dim=1)
        used = torch.arange(most) < whole(count, self.segments, generator).unsqueeze(1)
        distance = to_segments(corners, height, width)
        nearest = distance.masked_fill_(~used.view(count, most, 1, 1), torch.inf).amin(1, True)
        radius = each(uniform(count, self.thickness, generator)) / 2
        ink = each(uniform(count, self.ink, generator))
        # Half a pixel of falling brightness on each side of the edge smooths it.
        return torch.maximum(images, 255 * ink * (radius + 0.5 - nearest).clamp_(0, 1))


def to_segments(corners: Tensor, height: int, width: int) -> Tensor:
    """Return each pixel's distance ``[N, K, H, W]`` to the K segments between ``[N, K + 1, 2]``."""
    rows, columns = torch.meshgrid(
        torch.arange(height, dtype=torch.float32),
        torch.arange(width, dtype=torch.float32),
        indexing="ij",
    )
    start, step = corners[:, :-1, :, None, None], corners.diff(dim=1)[..., None, None]
    across, down = columns - start[:, :, 0], rows - start[:, :, 1]
    length = (step**2).sum(2).clamp_min(1e-6)
    along = ((across * step[:, :, 0] + down * step[:, :, 1]) / length).clamp_(0, 1)
    return torch.hypot(across - along * step[:, :, 0], down - along * step[:, :, 1])
