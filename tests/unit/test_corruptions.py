"""What holds for each of the fifteen corruptions; what each does is in test_corruption_families."""

from __future__ import annotations

import numpy as np
import pytest

from digits.evaluation.corruptions import CORRUPTIONS, corrupt
from digits.evaluation.corruptions.draws import Draws
from tests.unit.samples import lopsided_digit

NAMES = list(CORRUPTIONS)
DRAWN = sorted(set(NAMES) - {"scale", "brightness", "stripe", "canny_edges"})


def different_digits(count: int):
    """Copies of one digit, each told apart by a pixel that is a little grey."""
    images = np.repeat(lopsided_digit()[np.newaxis], count, axis=0)
    images[np.arange(count), 24, np.arange(count)] = 1
    return images


DIGITS = different_digits(20)


def test_there_are_fifteen_in_the_order_of_the_paper():
    assert len(NAMES) == 15
    assert (NAMES[0], NAMES[-1]) == ("shot_noise", "canny_edges")


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_images_whatever_the_cut(name, monkeypatch):
    whole = corrupt(name, DIGITS, seed=3)
    for part in (slice(None), slice(0, 1), slice(7, 20), slice(None, None, -1)):
        np.testing.assert_array_equal(corrupt(name, DIGITS[part], seed=3), whole[part])
    monkeypatch.setattr("digits.evaluation.corruptions.AT_ONCE", 7)
    np.testing.assert_array_equal(corrupt(name, DIGITS, seed=3), whole)


@pytest.mark.parametrize("name", NAMES)
def test_every_image_changes_and_the_input_does_not(name):
    before = DIGITS.copy()
    spoilt = corrupt(name, DIGITS, seed=0)
    assert spoilt.shape == DIGITS.shape and spoilt.dtype == np.uint8
    assert (spoilt != DIGITS).any((1, 2)).all()
    np.testing.assert_array_equal(DIGITS, before)


@pytest.mark.parametrize("name", DRAWN)
def test_seed_and_content_decide(name):
    spoilt = corrupt(name, DIGITS, seed=0)
    assert (spoilt != corrupt(name, DIGITS, seed=1)).any()
    apart = np.abs(spoilt.astype(int) - spoilt[0]).sum((1, 2))
    assert apart.max() > 28 * 28  # far beyond the pixel that differs


def test_two_names_draw_apart():
    drawn = [Draws(name, DIGITS, seed=0).uniform(4) for name in ("fog", "spatter")]
    assert not np.isclose(*drawn).any()


def test_draws_lie_where_they_are_said_to():
    draws = Draws("any", DIGITS, seed=0)
    uniform = draws.uniform(500)
    assert uniform.min() >= 0 and uniform.max() < 1 and abs(uniform.mean() - 0.5) < 0.02
    assert set(np.unique(draws.integers(-1, 2, 50))) == {-1, 0, 1, 2}
    assert set(np.unique(draws.signs(50))) == {-1, 1}
    normal = draws.normal(500)
    assert abs(normal.mean()) < 0.05 and abs(normal.std() - 1) < 0.05


@pytest.mark.parametrize("name", NAMES)
def test_no_images_and_an_empty_page(name):
    assert corrupt(name, DIGITS[:0], seed=0).shape == (0, 28, 28)
    page = np.zeros((2, 28, 28), np.uint8)
    with np.errstate(all="raise", under="ignore"):
        spoilt = corrupt(name, page, seed=0)
    np.testing.assert_array_equal(spoilt[0], spoilt[1])
    inked = {"impulse_noise", "brightness", "stripe", "spatter", "dotted_line", "zigzag"}
    assert bool(spoilt.any()) == (name in inked)


def test_what_cannot_be_spoilt_is_named():
    with pytest.raises(ValueError, match="no corruption is called 'frost': there are shot_noise"):
        corrupt("frost", DIGITS, seed=0)
    with pytest.raises(ValueError, match=r"not float32 \[20, 28, 28\]"):
        corrupt("fog", DIGITS.astype(np.float32), seed=0)
    with pytest.raises(ValueError, match=r"not uint8 \[28, 28\]"):
        corrupt("fog", DIGITS[0], seed=0)
