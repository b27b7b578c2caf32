"""Augmentation of whole batches in torch: twins of Albumentations transforms, many times faster.

Each class has the argument names, the meaning and the order of operations of the Albumentations
2.0.8 transform it names, so that one augmentation can be written for either. A twin agrees with its
original in distribution, not draw by draw: it has its own random numbers, and it does not round to
whole grey levels between steps.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from digits.data.draws import uniform
from digits.data.ranges import AxisRanges, Range, ascending, by_axis, written

Probability = Annotated[float, Field(ge=0, le=1)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class BatchTransform(ABC):
    """One step: each image of a batch is transformed with probability ``p``, by its own draw."""

    def __init__(self, p: Probability = 0.5) -> None:
        self.p = p

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return a transformed copy of float32 ``[N, 1, H, W]`` in 0..255.

        The result depends on ``images`` and the state of ``generator`` alone; the images that the
        coin spares are copied unchanged.
        """
        if self.p == 1:
            return self.transform(images, generator)
        chosen = torch.rand(len(images), generator=generator) < self.p
        indices = chosen.nonzero().squeeze(1)
        if not len(indices):
            return images.clone()
        return images.index_copy(0, indices, self.transform(images[indices], generator))

    @abstractmethod
    def transform(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Transform every image of float32 ``[N, 1, H, W]``, each with parameters of its own."""


class Affine(BatchTransform):
    """Twin of ``albumentations.Affine``: scale, rotate, shear, then translate, about the centre.

    Args:
        scale: range of the factor; horizontal and vertical factors are drawn apart.
        rotate: range of the angle in degrees, positive counter-clockwise.
        shear: range of the angle in degrees, drawn apart for the two axes; a mapping with the
            keys ``x`` and ``y`` gives each axis its own range (also for ``scale`` and
            ``translate_percent``).
        translate_percent: range of the shift as a fraction of the side; the shift is cut to whole
            pixels.
        keep_ratio: one factor for both axes.
        p: probability of transforming an image.

    Raises:
        ValueError: a range that runs backwards, or one that no image can be warped by.
    """

    def __init__(
        self,
        *,
        scale: Range | AxisRanges = (1.0, 1.0),
        rotate: Range = (0.0, 0.0),
        shear: Range | AxisRanges = (0.0, 0.0),
        translate_percent: Range | AxisRanges = (0.0, 0.0),
        keep_ratio: bool = False,
        p: Probability = 0.5,
    ) -> None:
        super().__init__(p)
        self.scale = by_axis("scale", scale)
        self.rotate = ascending("rotate", rotate)
        self.shear = by_axis("shear", shear)
        self.translate_percent = by_axis("translate_percent", translate_percent)
        if min(low for low, _ in self.scale) <= 0:
            raise ValueError(f"scale must be above 0, not {written(scale)}")
        steepest = [max(abs(low), abs(high)) for low, high in self.shear]
        # Beyond that the two axes can fall together: the warp has no inverse.
        if max(steepest) >= 90 or sum(steepest) >= 90:
            raise ValueError(f"shear must stay below 90 degrees over both axes: {written(shear)}")
        self.keep_ratio = keep_ratio

    def transform(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Warp float32 ``[N, 1, H, W]`` bilinearly; what comes from outside is 0."""
        count, _, height, width = images.shape
        inverse = torch.linalg.inv(self._linear(count, generator))
        shift_x, shift_y = (
            (uniform(count, bounds, generator) * size).trunc()
            for bounds, size in zip(self.translate_percent, (width, height), strict=True)
        )
        offset = -inverse @ torch.stack([shift_x, shift_y], dim=1).unsqueeze(2)
        half = torch.tensor([(width - 1) / 2, (height - 1) / 2])
        # grid_sample counts in half sides, so the pixel matrix is conjugated by the half sides.
        theta = torch.cat([inverse * half, offset], dim=2) / half.unsqueeze(1)
        grid = functional.affine_grid(theta, [count, 1, height, width], align_corners=True)
        return functional.grid_sample(images, grid, padding_mode="zeros", align_corners=True)

    def _linear(self, count: int, generator: torch.Generator) -> Tensor:
        scale_x = uniform(count, self.scale[0], generator)
        scale_y = scale_x if self.keep_ratio else uniform(count, self.scale[1], generator)
        angle = torch.deg2rad(uniform(count, self.rotate, generator))
        # The original negates the shear it draws.
        shear_x, shear_y = (
            torch.tan(torch.deg2rad(-uniform(count, bounds, generator))) for bounds in self.shear
        )
        one = torch.ones(count)
        cos, sin = torch.cos(angle), torch.sin(angle)
        shear = _matrices(one, shear_x, shear_y, one)
        return (
            shear @ _matrices(cos, sin, -sin, cos) @ _matrices(scale_x, 0 * one, 0 * one, scale_y)
        )


class Elastic(BatchTransform):
    """Twin of ``albumentations.ElasticTransform``: a smooth random displacement of every pixel.

    Args:
        alpha: displacement in pixels of noise that peaks at 1 before it is smoothed.
        sigma: standard deviation in pixels of the Gaussian that smooths the noise.
        p: probability of transforming an image.
    """

    def __init__(
        self,
        *,
        alpha: Annotated[float, Field(ge=0)] = 1.0,
        sigma: Annotated[float, Field(ge=1)] = 50.0,
        p: Probability = 0.5,
    ) -> None:
        super().__init__(p)
        self.alpha = alpha
        self.sigma = sigma

    def transform(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Warp float32 ``[N, 1, H, W]`` bilinearly; what comes from outside is 0."""
        count, _, height, width = images.shape
        noise = torch.randn(count, 2 * height, width, generator=generator)
        noise /= noise.abs().amax(dim=(1, 2), keepdim=True)
        # The original smooths both fields as one picture of twice the height; so does the twin.
        smooth = _gaussian(2 * height, self.sigma) @ noise @ _gaussian(width, self.sigma).T
        move_x, move_y = (self.alpha * smooth).view(count, 2, height, width).unbind(1)
        grid_x = (torch.arange(width) + move_x) * (2 / (width - 1)) - 1
        grid_y = (torch.arange(height).unsqueeze(1) + move_y) * (2 / (height - 1)) - 1
        grid = torch.stack([grid_x, grid_y], dim=-1)
        return functional.grid_sample(images, grid, padding_mode="zeros", align_corners=True)


class CoarseDropout(BatchTransform):
    """Twin of ``albumentations.CoarseDropout``: rectangles set to the background.

    Args:
        num_holes_range: fewest and most rectangles per image.
        hole_height_range: range of the height as a fraction of the image's, cut to whole pixels.
        hole_width_range: likewise for the width.
        p: probability of transforming an image.

    Raises:
        ValueError: a range that runs backwards.
    """

    def __init__(
        self,
        *,
        num_holes_range: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] = (1, 2),
        hole_height_range: tuple[Fraction, Fraction] = (0.1, 0.2),
        hole_width_range: tuple[Fraction, Fraction] = (0.1, 0.2),
        p: Probability = 0.5,
    ) -> None:
        super().__init__(p)
        fewest, most = ascending("num_holes_range", num_holes_range)
        self.num_holes_range = int(fewest), int(most)
        self.hole_height_range = ascending("hole_height_range", hole_height_range)
        self.hole_width_range = ascending("hole_width_range", hole_width_range)

    def transform(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Blank rectangles of float32 ``[N, 1, H, W]`` that lie wholly inside the image."""
        count, _, height, width = images.shape
        fewest, most = self.num_holes_range
        holes = torch.randint(fewest, most + 1, (count, 1), generator=generator)
        used = torch.arange(most) < holes
        rows = self._spans(height, used, self.hole_height_range, generator)
        columns = self._spans(width, used, self.hole_width_range, generator)
        hidden = (rows.unsqueeze(3) & columns.unsqueeze(2)).any(dim=1, keepdim=True)
        return images.masked_fill(hidden, 0.0)

    @staticmethod
    def _spans(side: int, used: Tensor, bounds: Range, generator: torch.Generator) -> Tensor:
        """Draw one interval of 0..side per hole: bool ``[N, holes, side]``."""
        length = (uniform(used.numel(), bounds, generator).view(used.shape) * side).trunc()
        start = (torch.rand(used.shape, generator=generator) * (side - length + 1)).trunc()
        position = torch.arange(side)
        inside = (position >= start.unsqueeze(2)) & (position < (start + length).unsqueeze(2))
        return inside & used.unsqueeze(2)


class BatchedAugmentation:
    """Named steps applied in order to whole batches of images."""

    def __init__(self, steps: Mapping[str, BatchTransform]) -> None:
        self.steps = dict(steps)

    def __call__(self, images: NDArray[np.uint8], keys: Sequence[tuple[int, ...]]) -> Tensor:
        """Augment uint8 ``[N, 28, 28]`` into float32 ``[N, 28, 28]`` in 0..255.

        Args:
            images: the batch.
            keys: for each image (seed, epoch, index). The draws of the whole batch derive from
                its first key, which no other batch of the training has.
        """
        state = np.random.SeedSequence(keys[0]).generate_state(1, np.uint64)
        generator = torch.Generator().manual_seed(int(state[0]))
        batch = torch.as_tensor(images).to(torch.float32).unsqueeze(1)
        for step in self.steps.values():
            batch = step(batch, generator)
        return batch.squeeze(1)


def _matrices(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """Stack four ``[N]`` into the matrices ``[[a, b], [c, d]]``, ``[N, 2, 2]``."""
    return torch.stack([a, b, c, d], dim=1).view(-1, 2, 2)


def _gaussian(side: int, sigma: float) -> Tensor:
    """Return ``[side, side]`` that smooths a column, its ends repeated beyond the border.

    The kernel is OpenCV's for floats: it ends four standard deviations from its middle.
    """
    reach = (round(sigma * 8 + 1) | 1) // 2
    offsets = torch.arange(-reach, reach + 1)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    sources = (torch.arange(side).unsqueeze(1) + offsets).clamp(0, side - 1)
    matrix = torch.zeros(side, side)
    return matrix.scatter_add_(1, sources, (kernel / kernel.sum()).expand(side, -1))
