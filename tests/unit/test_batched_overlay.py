"""Stray strokes: where they go, how thick and how bright they are."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from digits.data.batched_overlay import Strokes, to_segments
from tests.unit.samples import lopsided_digit


def _draw(step: Strokes, images: torch.Tensor) -> torch.Tensor:
    return step(images, torch.Generator().manual_seed(0))


def test_a_stroke_covers_its_own_area_and_leaves_the_digit_visible() -> None:
    digit = torch.from_numpy(lopsided_digit()).float().expand(50, 1, 28, 28)

    images = _draw(Strokes(ink=(0.5, 0.9), p=1.0), digit)

    assert (images >= digit).all()
    assert (images > digit).any(dim=3).any(dim=2).float().mean() > 0.9


def test_ink_is_the_brightness_of_the_line() -> None:
    images = _draw(Strokes(ink=(0.4, 0.4), thickness=(3, 3), p=1.0), torch.zeros(200, 1, 28, 28))

    assert images.max().item() == pytest.approx(0.4 * 255)


def test_more_and_thicker_segments_cover_more() -> None:
    blank = torch.zeros(300, 1, 28, 28)
    thin, thick, many = (
        _draw(Strokes(segments=segments, thickness=(width, width), ink=(1, 1), p=1.0), blank).mean()
        for segments, width in (((1, 1), 1.0), ((1, 1), 3.0), ((4, 4), 1.0))
    )

    assert 2 * thin < thick
    assert 2 * thin < many


def test_length_is_a_share_of_the_width() -> None:
    areas = []
    for length in (0.25, 0.5):
        stroke = Strokes(
            segments=(1, 1), length=(length, length), thickness=(1, 1), ink=(1, 1), p=1
        )
        images = _draw(stroke, torch.zeros(2000, 1, 28, 28)) / 255
        areas.append(images.sum(dim=(1, 2, 3)).max().item())

    # 1 pixel wide, so that 7 more of length are 7 more of area; the largest lie wholly inside.
    assert areas[1] - areas[0] == pytest.approx(7, abs=1)


def test_distances_to_a_segment_are_those_of_plane_geometry() -> None:
    corners = torch.tensor([[[2.0, 3.0], [2.0, 9.0], [6.0, 9.0]]])

    distance = to_segments(corners, 12, 10)

    assert distance.shape == (1, 2, 12, 10)
    assert distance[0, 0, 5, 2] == 0
    assert distance[0, 0, 5, 7] == 5
    assert distance[0, 0, 0, 6] == 5  # beyond the end: 3 up, 4 across
    assert distance[0, 1, 9, 9] == 3


def test_a_line_without_length_is_a_dot() -> None:
    distance = to_segments(torch.full((1, 2, 2), 5.0), 12, 12)

    assert distance[0, 0, 5, 5] == 0
    assert distance[0, 0, 5, 9] == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"segments": (3, 1)}, "segments must run from low to high"),
        ({"length": (0.5, 0.1)}, "length must run"),
        ({"thickness": (3, 1)}, "thickness must run"),
        ({"thickness": (0, 1)}, r"thickness must be above 0, not \[0, 1\]"),
        ({"ink": (1, 0.5)}, "ink must run"),
    ],
)
def test_ranges_that_nothing_can_be_drawn_from_are_refused(
    arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Strokes(**arguments)
