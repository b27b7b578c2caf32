"""Random convolutions and stroke thickness: what they do to shapes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional

from digits.data.batched_filters import RandomConvolution, Thickness
from tests.unit.samples import lopsided_digit


def _draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _batch(count: int) -> torch.Tensor:
    return torch.from_numpy(lopsided_digit()).float().expand(count, 1, 28, 28).clone()


def _point() -> torch.Tensor:
    image = torch.zeros(50, 1, 28, 28)
    image[:, :, 14, 14] = 255
    return image


def test_a_filter_of_one_pixel_at_full_strength_changes_no_digit() -> None:
    images = RandomConvolution(reach=(0, 0), gain=(1, 1), strength=(1, 1), p=1.0)(
        _batch(10), _draws()
    )

    torch.testing.assert_close(images, _batch(10))


def test_without_strength_nothing_changes() -> None:
    images = RandomConvolution(strength=(0, 0), p=1.0)(_batch(10), _draws())

    torch.testing.assert_close(images, _batch(10))


def test_a_filtered_image_has_the_full_range_and_an_empty_background() -> None:
    images = RandomConvolution(reach=(2, 2), strength=(1, 1), p=1.0)(_batch(50), _draws())

    torch.testing.assert_close(images.amax(dim=(1, 2, 3)), torch.full((50,), 255.0))
    near = functional.max_pool2d(_batch(50), 5, stride=1, padding=2) > 0
    assert torch.equal(images.masked_fill(near, 0.0), torch.zeros(50, 1, 28, 28))


def test_a_point_shows_how_far_the_filters_reach() -> None:
    images = RandomConvolution(reach=(1, 3), strength=(1, 1), p=1.0)(_point(), _draws())

    touched = (images > 0).flatten(1).sum(dim=1)
    assert set(touched.tolist()) == {9, 25, 49}


def test_a_balanced_filter_leaves_the_outline_of_an_even_area() -> None:
    block = torch.zeros(20, 1, 28, 28)
    block[:, :, 6:20, 6:20] = 200
    balanced = RandomConvolution(reach=(1, 1), balance=(1, 1), strength=(1, 1), p=1.0)

    images = balanced(block, _draws())

    assert images[:, :, 7:19, 7:19].max() < 0.01
    assert images[:, :, 5:7, 5:21].amax(dim=(1, 2, 3)).min() > 1


def test_gain_lifts_what_it_does_not_cut() -> None:
    low, high = (
        RandomConvolution(gain=(gain, gain), strength=(1, 1), p=1.0)(_batch(20), _draws())
        for gain in (1.0, 3.0)
    )

    torch.testing.assert_close(high, (3 * low).clamp_max(255), atol=0.01, rtol=1e-4)


def test_a_blank_image_stays_blank() -> None:
    images = RandomConvolution(p=1.0)(torch.zeros(4, 1, 28, 28), _draws())

    assert torch.equal(images, torch.zeros(4, 1, 28, 28))


def test_thickness_grows_and_shrinks_by_a_cross() -> None:
    block = torch.zeros(1, 1, 28, 28)
    block[:, :, 10:13, 10:13] = 200

    thicker = Thickness(strength=(1, 1), p=1.0)(block, _draws())
    thinner = Thickness(strength=(-1, -1), p=1.0)(block, _draws())

    assert (thicker == 200).sum() == 9 + 4 * 3
    assert (thinner == 200).sum() == 1
    assert thinner[0, 0, 11, 11] == 200


def test_half_a_strength_is_half_way() -> None:
    full = Thickness(strength=(1, 1), p=1.0)(_batch(1), _draws())

    half = Thickness(strength=(0.5, 0.5), p=1.0)(_batch(1), _draws())

    torch.testing.assert_close(half, (full + _batch(1)) / 2)


@pytest.mark.parametrize(
    ("step", "arguments", "message"),
    [
        (RandomConvolution, {"reach": (3, 1)}, "reach must run from low to high"),
        (RandomConvolution, {"balance": (1, 0)}, "balance must run"),
        (RandomConvolution, {"gain": (2, 1)}, "gain must run"),
        (RandomConvolution, {"gain": (0, 1)}, r"gain must be above 0, not \[0, 1\]"),
        (RandomConvolution, {"strength": (1, 0)}, "strength must run"),
        (Thickness, {"strength": (1, -1)}, "strength must run"),
    ],
)
def test_ranges_that_nothing_can_be_drawn_from_are_refused(
    step: type[RandomConvolution] | type[Thickness], arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        step(**arguments)
