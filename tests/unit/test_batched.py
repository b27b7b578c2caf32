"""Batched augmentation: reproducible, a draw of its own for every image, in order."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from digits.data.batched import Affine, BatchedAugmentation, BatchTransform, CoarseDropout, Elastic
from digits.data.batched_filters import RandomConvolution, Thickness
from digits.data.batched_intensity import Bands, Light, Noise
from digits.data.batched_overlay import Strokes
from tests.unit.samples import lopsided_digit

STEPS: dict[str, Callable[[float], BatchTransform]] = {
    "affine": lambda p: Affine(rotate=(-15, 15), scale=(0.9, 1.1), shear=(-10, 10), p=p),
    "elastic": lambda p: Elastic(alpha=30, sigma=4, p=p),
    "dropout": lambda p: CoarseDropout(num_holes_range=(1, 3), p=p),
    "thickness": lambda p: Thickness(strength=(-1, 1), p=p),
    "convolution": lambda p: RandomConvolution(reach=(0, 3), p=p),
    "strokes": lambda p: Strokes(segments=(1, 3), p=p),
    "light": lambda p: Light(background=(0, 0.5), p=p),
    "bands": lambda p: Bands(width=(0.4, 0.5), p=p),
    "noise": lambda p: Noise(deviation=(0, 0.5), p=p),
}


# (seed, epoch, index) of four images
KEYS = [(0, 0, index) for index in range(4)]


def _batch(count: int) -> torch.Tensor:
    return torch.from_numpy(lopsided_digit()).float().expand(count, 1, 28, 28).clone()


def _pixels(count: int) -> NDArray[np.uint8]:
    return np.repeat(lopsided_digit()[None], count, axis=0)


class Double(BatchTransform):
    def transform(self, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return 2 * images


class Increment(BatchTransform):
    def transform(self, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return images + 1


def _texture() -> torch.Tensor:
    """An image without background, which shows a blanked rectangle wherever it falls."""
    return torch.rand(1, 1, 28, 28, generator=torch.Generator().manual_seed(0)) * 254 + 1


def _apply(step: BatchTransform, count: int, seed: int = 0) -> torch.Tensor:
    return step(_batch(count), torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("step", STEPS)
def test_the_same_seed_gives_the_same_batch(step: str) -> None:
    transform = STEPS[step](0.7)

    assert torch.equal(_apply(transform, 16, seed=3), _apply(transform, 16, seed=3))
    assert not torch.equal(_apply(transform, 16, seed=3), _apply(transform, 16, seed=4))


@pytest.mark.parametrize("step", STEPS)
def test_each_image_of_a_batch_gets_its_own_draw(step: str) -> None:
    images = STEPS[step](1.0)(_texture().expand(50, 1, 28, 28), torch.Generator().manual_seed(0))

    assert len(torch.unique(images, dim=0)) == 50


@pytest.mark.parametrize("step", STEPS)
def test_the_coin_chooses_images_with_probability_p(step: str) -> None:
    transform = STEPS[step](0.3)
    images = _texture().expand(4000, 1, 28, 28)

    changed = (transform(images, torch.Generator().manual_seed(0)) != images).any(dim=(1, 2, 3))

    # Four standard deviations of the mean of 4,000 coins.
    assert changed.float().mean().item() == pytest.approx(0.3, abs=0.029)


@pytest.mark.parametrize("step", STEPS)
def test_never_chosen_images_come_back_as_a_copy(step: str) -> None:
    images = _batch(8)

    result = STEPS[step](0.0)(images, torch.Generator().manual_seed(0))

    assert torch.equal(result, images)
    assert result.data_ptr() != images.data_ptr()


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("p", [0.5, 1.0])
def test_the_input_is_left_alone(step: str, p: float) -> None:
    images = _batch(8)

    STEPS[step](p)(images, torch.Generator().manual_seed(0))

    assert torch.equal(images, _batch(8))


@pytest.mark.parametrize("step", STEPS)
def test_values_stay_in_the_range_of_pixels(step: str) -> None:
    images = _apply(STEPS[step](1.0), 64)

    assert images.dtype == torch.float32
    assert images.min() >= 0
    # Bilinear weights add up to one but for rounding.
    assert images.max() <= 255.01


def test_the_identity_warp_changes_nothing() -> None:
    images = _apply(Affine(p=1.0), 4)

    torch.testing.assert_close(images, _batch(4), atol=1e-2, rtol=0)


def test_keep_ratio_draws_one_factor() -> None:
    square = torch.zeros(200, 1, 28, 28)
    square[:, :, 9:19, 9:19] = 255.0
    spread = Affine(scale=(0.7, 1.3), keep_ratio=True, p=1.0)

    images = spread(square, torch.Generator().manual_seed(0)).squeeze(1)

    across, down = images.sum(dim=1), images.sum(dim=2)
    torch.testing.assert_close(across, down, atol=1.0, rtol=1e-3)
    assert images.sum(dim=(1, 2)).std() > 0.1 * square[0].sum()


def test_steps_are_applied_in_order() -> None:
    doubled_then_shifted = BatchedAugmentation({"b": Double(p=1.0), "a": Increment(p=1.0)})

    images = doubled_then_shifted(_pixels(4), KEYS)

    assert images.shape == (4, 28, 28)
    assert torch.equal(images, 2 * torch.from_numpy(_pixels(4)).float() + 1)


def test_the_keys_of_a_batch_decide_its_draws() -> None:
    augmentation = BatchedAugmentation({"warp": STEPS["elastic"](0.5)})
    later = [(0, 1, index) for index in range(4)]

    images = augmentation(_pixels(4), KEYS)

    assert torch.equal(augmentation(_pixels(4), KEYS), images)
    assert not torch.equal(augmentation(_pixels(4), later), images)


@pytest.mark.parametrize(
    ("step", "arguments", "message"),
    [
        (Affine, {"rotate": (10, -10)}, r"rotate must run from low to high, not \[10, -10\]"),
        (Affine, {"scale": (1.1, 0.9)}, "scale must run from low to high"),
        (Affine, {"scale": (0, 0)}, r"scale must be above 0, not \[0, 0\]"),
        (Affine, {"scale": {"x": (1, 1), "y": (-1, 1)}}, "scale must be above 0"),
        (Affine, {"scale": {"x": (1, 1), "z": (1, 1)}}, "scale must have the keys x and y"),
        (Affine, {"shear": (45, 45)}, "shear must stay below 90 degrees"),
        (Affine, {"translate_percent": (0.1, 0)}, "translate_percent must run"),
        (CoarseDropout, {"num_holes_range": (3, 1)}, "num_holes_range must run"),
        (CoarseDropout, {"hole_height_range": (0.3, 0.1)}, "hole_height_range must run"),
        (CoarseDropout, {"hole_width_range": (0.3, 0.1)}, "hole_width_range must run"),
    ],
)
def test_ranges_that_nothing_can_be_drawn_from_are_refused(
    step: Callable[..., BatchTransform], arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        step(**arguments)


def test_a_range_of_one_value_is_a_range() -> None:
    images = _apply(Affine(rotate=(90, 90), p=1.0), 3)

    torch.testing.assert_close(images[0], images[2])
    assert not torch.equal(images, _batch(3))
