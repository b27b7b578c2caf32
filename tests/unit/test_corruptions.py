"""The fifteen corruptions: what each does to a digit, and that it is the same wherever it stands."""

from __future__ import annotations

import numpy as np
import pytest

from digits.evaluation.corruptions import CORRUPTIONS, corrupt
from digits.evaluation.corruptions.draws import Draws
from tests.unit.samples import lopsided_digit

NAMES = list(CORRUPTIONS)


def different_digits(count: int):
    """Copies of one digit, each told apart by a pixel that is a little grey."""
    images = np.repeat(lopsided_digit()[np.newaxis], count, axis=0)
    images[np.arange(count), 24, np.arange(count) % 28] = 1 + np.arange(count) // 28
    return images


DIGITS = different_digits(40)


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_images_whatever_the_cut(name):
    whole = corrupt(name, DIGITS, seed=3)
    np.testing.assert_array_equal(corrupt(name, DIGITS, seed=3), whole)
    for part in (slice(0, 1), slice(7, 20), slice(None, None, -1)):
        np.testing.assert_array_equal(corrupt(name, DIGITS[part], seed=3), whole[part])


@pytest.mark.parametrize("name", NAMES)
def test_every_image_changes_and_the_input_does_not(name):
    before = DIGITS.copy()
    spoilt = corrupt(name, DIGITS, seed=0)
    assert spoilt.shape == DIGITS.shape and spoilt.dtype == np.uint8
    assert (spoilt != DIGITS).any((1, 2)).all()
    np.testing.assert_array_equal(DIGITS, before)


RANDOM = sorted(set(NAMES) - {"scale", "brightness", "stripe", "canny_edges"})


@pytest.mark.parametrize("name", RANDOM)
def test_seed_and_content_decide(name):
    spoilt = corrupt(name, DIGITS, seed=0)
    assert (spoilt != corrupt(name, DIGITS, seed=1)).any()
    changes = spoilt.astype(int) - corrupt(name, DIGITS[:1], seed=0)
    assert (np.abs(changes).sum((1, 2)) > 28 * 28).any()  # far beyond the pixel that differs


def test_two_names_draw_apart():
    drawn = [Draws(name, DIGITS, seed=0).uniform(4) for name in ("fog", "spatter")]
    assert not np.isclose(*drawn).any()


@pytest.mark.parametrize("name", NAMES)
def test_no_images_and_an_empty_page(name):
    assert corrupt(name, DIGITS[:0], seed=0).shape == (0, 28, 28)
    page = np.zeros((2, 28, 28), np.uint8)
    with np.errstate(all="raise"):
        spoilt = corrupt(name, page, seed=0)
    np.testing.assert_array_equal(spoilt[0], spoilt[1])
    inked = {"impulse_noise", "brightness", "stripe", "spatter", "dotted_line", "zigzag"}
    assert bool(spoilt.any()) == (name in inked)


def test_what_cannot_be_spoilt_is_named():
    with pytest.raises(ValueError, match="no corruption is called 'frost': there are shot_noise"):
        corrupt("frost", DIGITS, seed=0)
    with pytest.raises(ValueError, match=r"not float32 \[40, 28, 28\]"):
        corrupt("fog", DIGITS.astype(np.float32), seed=0)
    with pytest.raises(ValueError, match=r"not uint8 \[28, 28\]"):
        corrupt("fog", DIGITS[0], seed=0)
