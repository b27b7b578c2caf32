"""Light, bands and noise: what they do to the grey levels of a batch."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from digits.data.batched_intensity import Bands, Light, Noise
from digits.data.draws import smooth_field


def _draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _ramp(count: int) -> torch.Tensor:
    return torch.linspace(0, 255, 784).view(1, 1, 28, 28).repeat(count, 1, 1, 1)


def test_light_of_one_value_is_that_line_of_grey_levels() -> None:
    light = Light(background=(0.2, 0.2), relief=(0, 0), contrast=(0.5, 0.5), p=1.0)

    images = light(_ramp(3), _draws())

    torch.testing.assert_close(images, 51 + 0.5 * _ramp(3))


def test_light_is_cut_where_the_range_ends() -> None:
    light = Light(background=(0.6, 0.6), relief=(0, 0), contrast=(1, 1), p=1.0)

    assert light(_ramp(1), _draws()).max() == 255


def test_relief_lifts_a_blank_image_by_a_surface() -> None:
    light = Light(background=(0.1, 0.1), relief=(0.4, 0.4), contrast=(1, 1), p=1.0)

    images = light(torch.zeros(20, 1, 28, 28), _draws())

    lowest, highest = images.amin(dim=(1, 2, 3)), images.amax(dim=(1, 2, 3))
    torch.testing.assert_close(lowest, torch.full((20,), 0.1 * 255))
    torch.testing.assert_close(highest, torch.full((20,), 0.5 * 255))


def test_a_wider_kernel_makes_a_smoother_field() -> None:
    rough, smooth = (
        smooth_field(200, 28, 20, (sigma, sigma), _draws()).diff(dim=3).abs().mean()
        for sigma in (1.0, 6.0)
    )

    assert smooth < 0.5 * rough


def test_a_field_is_as_smooth_down_as_across() -> None:
    field = smooth_field(2000, 28, 28, (3.0, 3.0), _draws())

    down, across = (field.diff(dim=dim).abs().mean().item() for dim in (2, 3))
    assert field.shape == (2000, 1, 28, 28)
    assert down == pytest.approx(across, rel=0.03)


def test_a_band_is_inverted_and_the_rest_is_left() -> None:
    images = Bands(width=(0.3, 0.3), p=1.0)(_ramp(100), _draws())

    changed = (images != _ramp(100)) & (_ramp(100) != 127.5)
    torch.testing.assert_close(images[changed], 255 - _ramp(100)[changed])
    # A band through the middle covers its width; one at the corner hardly anything.
    assert 0.15 < changed.float().mean() < 0.35


def test_bands_lie_at_every_angle() -> None:
    dark = torch.zeros(500, 1, 28, 28)

    bands = Bands(width=(0.1, 0.1), p=1.0)(dark, _draws()) > 0

    upright = bands.sum(dim=2).amax(dim=2) - bands.sum(dim=3).amax(dim=2)
    assert 0.3 < (upright > 0).float().mean() < 0.7


def test_noise_has_the_deviation_that_was_asked_for() -> None:
    grey = torch.full((100, 1, 28, 28), 128.0)

    added = Noise(deviation=(0.1, 0.1), p=1.0)(grey, _draws()) - grey

    assert added.std().item() == pytest.approx(25.5, rel=0.02)
    assert added.mean().item() == pytest.approx(0, abs=0.5)


@pytest.mark.parametrize(
    ("step", "arguments", "message"),
    [
        (Light, {"background": (0.5, 0.1)}, "background must run from low to high"),
        (Light, {"relief": (0.5, 0.1)}, "relief must run"),
        (Light, {"contrast": (0.5, 0.1)}, "contrast must run"),
        (Light, {"sigma": (5, 2)}, "sigma must run"),
        (Light, {"sigma": (0, 2)}, r"sigma must be above 0, not \[0, 2\]"),
        (Bands, {"width": (0.5, 0.1)}, "width must run"),
        (Noise, {"deviation": (0.5, 0.1)}, "deviation must run"),
    ],
)
def test_ranges_that_nothing_can_be_drawn_from_are_refused(
    step: type[Light] | type[Bands] | type[Noise], arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        step(**arguments)
