"""Answers under shifts by one pixel."""

from __future__ import annotations

import numpy as np
import pytest

from digits.evaluation.stability import DIRECTIONS, shifted, stability
from tests.unit.samples import lopsided_digit

IMAGE = lopsided_digit()[np.newaxis]


@pytest.mark.parametrize(("down", "right"), DIRECTIONS)
def test_shift_is_a_roll_where_the_edges_are_paper(down, right):
    expected = np.roll(IMAGE, (down, right), axis=(1, 2))
    np.testing.assert_array_equal(shifted(IMAGE, down=down, right=right), expected)


def test_what_enters_is_paper_and_what_leaves_does_not_come_back():
    full = np.full((2, 28, 28), 255, np.uint8)
    moved = shifted(full, down=1, right=-1)
    assert not moved[:, 0].any() and not moved[:, :, -1].any()
    assert moved[:, 1:, :-1].min() == 255


def reads_the_corner(images):
    """Name the class by the upper left pixel: 1 for ink, else 0."""
    inked = images[:, 0, 0] > 0
    logits = np.zeros((len(images), 10), np.float32)
    logits[np.arange(len(images)), inked.astype(int)] = 1
    return logits


def test_share_that_never_changes_counts_all_eight_directions():
    images = np.zeros((4, 28, 28), np.uint8)
    images[1, 1, 1] = 255  # only the shift up and left brings it into the corner
    images[2, 0, 1] = 255  # only the shift left does
    found = stability(reads_the_corner, images)
    assert found.stable == 0.5
    assert found.kept[-1, -1] == 0.75
    assert found.kept[0, -1] == 0.75
    assert found.kept[1, 1] == 1.0


def test_progress_hears_of_each_direction():
    heard = []
    stability(reads_the_corner, IMAGE, progress=lambda: heard.append(1))
    assert len(heard) == len(DIRECTIONS) == 8
