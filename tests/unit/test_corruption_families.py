"""What each of the fifteen corruptions does to a digit."""

from __future__ import annotations

import numpy as np
import pytest

from digits.evaluation.corruptions import corrupt
from digits.evaluation.corruptions.weather import plasma
from tests.unit.samples import lopsided_digit

DIGIT = lopsided_digit()[np.newaxis]
SEEDS = range(12)


def grey_page(level: int):
    return np.full((1, 28, 28), level, np.uint8)


def by_seed(name: str, image, seeds=SEEDS):
    """One corruption of one image by several seeds, ``[seeds, 28, 28]``."""
    return np.concatenate([corrupt(name, image, seed=seed) for seed in seeds])


def centroid(image):
    rows, columns = np.indices(image.shape)
    return np.array([(rows * image).sum(), (columns * image).sum()]) / image.sum()


@pytest.mark.parametrize(("level", "mean"), [(0, 0.0), (85, 0.3256), (255, 0.7759)])
def test_shot_noise_counts_three_photons_at_the_most(level, mean):
    # The means are of min(K, 3) / 3 for K from Poisson's distribution of 0, 1 and 3.
    noisy = by_seed("shot_noise", grey_page(level))
    assert set(np.unique(noisy)) <= {0, 85, 170, 255}
    assert abs(noisy.mean() / 255 - mean) < 0.02


def test_impulse_noise_whitens_and_blackens_a_twelfth_each():
    noisy = by_seed("impulse_noise", grey_page(100))
    shares = [(noisy == level).mean() for level in (0, 100, 255)]
    np.testing.assert_allclose(shares, [0.085, 0.83, 0.085], atol=0.01)


def test_glass_blur_keeps_the_ink_and_smooths_columns_only():
    grain = np.random.default_rng(0).integers(0, 256, (1, 28, 28)).astype(np.uint8)
    blurred = corrupt("glass_blur", grain, seed=0)[0].astype(float)
    assert abs(blurred.mean() - grain.mean()) < 3
    down, across = (np.abs(np.diff(blurred, axis=axis)).mean() for axis in (0, 1))
    assert down < 0.6 * across


def test_motion_blur_drags_a_dot_to_the_left():
    dot = np.zeros((1, 28, 28), np.uint8)
    dot[0, 14, 22] = 255
    dragged = by_seed("motion_blur", dot)
    rows, columns = np.nonzero(dragged.sum(0))
    assert columns.max() == 22 and columns.min() < 14
    assert (np.abs(rows - 14) <= 22 - columns).all() and rows.min() < 14 < rows.max()
    np.testing.assert_allclose(dragged.sum((1, 2)), 255, atol=6)
    assert (dragged[:, 14, 22] == 60).all()  # the first of 21 falling weights: 0.235


def test_motion_blur_continues_the_edge():
    np.testing.assert_array_equal(corrupt("motion_blur", grey_page(90), seed=0), grey_page(90))


def test_translate_moves_three_pixels_each_way():
    moved = by_seed("translate", DIGIT, range(30))
    shifts = {tuple(np.rint(centroid(image) - centroid(DIGIT[0]))) for image in moved}
    assert shifts == {(-3, -3), (-3, 3), (3, -3), (3, 3)}
    for image in moved:
        down, right = np.rint(centroid(image) - centroid(DIGIT[0])).astype(int)
        np.testing.assert_array_equal(image, np.roll(DIGIT[0], (down, right), (0, 1)))


def test_scale_shrinks_about_the_centre():
    small = corrupt("scale", DIGIT, seed=0)[0]
    assert abs(small.sum() / DIGIT.sum() - 0.49) < 0.02
    np.testing.assert_allclose(centroid(small) - 13.5, 0.7 * (centroid(DIGIT[0]) - 13.5), atol=0.1)


def bar():
    """A bar that stands upright in the middle."""
    image = np.zeros((1, 28, 28), np.uint8)
    image[0, 6:22, 13:15] = 255
    return image


def lean(image) -> float:
    """By how many columns the ink of a row lies further right than that of the row above."""
    rows, columns = np.indices(image.shape) - 13.5
    return (rows * columns * image).sum() / (rows**2 * image).sum()


def test_rotate_turns_by_two_fifths_of_a_radian():
    leans = {round(lean(image), 1) for image in by_seed("rotate", bar())}
    assert leans == {round(-np.tan(0.4), 1), round(np.tan(0.4), 1)}
    assert abs(by_seed("rotate", bar())[0].sum() / bar().sum() - 1) < 0.02


def test_shear_leans_and_grows_taller():
    leaning = by_seed("shear", bar())
    assert {round(lean(image), 2) for image in leaning} == {-0.39, 0.39}
    np.testing.assert_allclose(leaning.sum((1, 2)) / bar().sum(), 1 / np.cos(0.4), atol=0.01)


def test_brightness_adds_half_of_white():
    bright = corrupt("brightness", np.stack([DIGIT[0], grey_page(20)[0]]), seed=0)
    assert bright[0].min() == 128 and bright[0].max() == 255
    assert (bright[1] == 148).all()
    assert bright[0].mean() > DIGIT.mean() + 100


def test_stripe_inverts_a_quarter_at_either_edge():
    striped = corrupt("stripe", DIGIT, seed=0)
    np.testing.assert_array_equal(striped[..., 7:21], DIGIT[..., 7:21])
    for edge in (np.s_[..., :7], np.s_[..., 21:]):
        np.testing.assert_array_equal(striped[edge], 255 - DIGIT[edge])


def test_fog_pales_the_ink_and_lightens_the_paper():
    foggy = by_seed("fog", DIGIT).astype(float)
    ink, paper = DIGIT[0] == 255, DIGIT[0] == 0
    contrast = foggy[:, ink].mean() - foggy[:, paper].mean()
    assert abs(contrast - 255 / 4) < 20  # 1 of 1 + 3
    assert 40 < foggy[:, paper].mean() < 150
    assert foggy.mean((1, 2)).std() > 10  # thick here, thin there


def test_fog_is_as_bright_as_the_brightest_ink_can_be():
    faint = corrupt("fog", grey_page(51), seed=0)
    assert faint.max() <= 51 * (0.2 + 3) / (0.2 + 3) and faint.any()


def test_plasma_is_built_level_by_level():
    np.testing.assert_array_equal(plasma(np.full((1, 15), 0.5, np.float32), decay=1.4), 0)
    coarse = plasma(np.array([[1.0, 0.5, 0.0]], np.float32), decay=1.4)
    np.testing.assert_allclose(coarse[0], [[0, 0.5], [-0.5, 1]])
    noise = np.full((1, 15), 0.5, np.float32)
    noise[0, 3] = 1  # the first middle of the second level
    finer = plasma(noise, decay=2)[0]
    assert finer[1, 1] == 0.25 and finer[0, 0] == 0
    assert finer[0, 1] == finer[2, 1] == finer[1, 0] == finer[1, 2] == 0.0625


def test_spatter_is_dark_grey_over_ink_and_paper():
    on_paper, on_ink = by_seed("spatter", grey_page(0)), by_seed("spatter", grey_page(255))
    assert on_paper.max() == 63 and on_ink.min() in (63, 64)
    # a spot begins where four fifths of it are mud
    assert set(np.unique(on_paper)) <= {0, *range(50, 64)}
    assert 0.15 < (on_paper > 0).mean() < 0.5


def test_dotted_line_adds_dots_of_two_columns():
    lines = by_seed("dotted_line", DIGIT).astype(int)
    assert (lines >= DIGIT).all()
    changed = np.unique(np.nonzero(lines - DIGIT)[2])
    assert set(changed) == {column for column in range(27) if column // 2 % 2}


def test_zigzag_turns_every_four_columns():
    drawn = by_seed("zigzag", grey_page(0)).astype(float)
    within = [image for image in drawn if image[4:-4].sum() == image.sum()]
    assert within  # no part of it left the image
    for image in within:
        assert not image[:, :2].any() and not image[:, 26:].any()
        heights = [centroid(image[:, [column]])[0] for column in range(2, 25)]
        turns = np.diff(np.sign(np.diff(heights))) != 0
        assert turns.sum() in (5, 6)  # the last may lie in the last column
        assert set(np.diff(np.flatnonzero(turns))) <= {3, 4, 5}
    assert (by_seed("zigzag", DIGIT) >= DIGIT).all()


def test_canny_leaves_a_closed_outline():
    square = np.zeros((1, 28, 28), np.uint8)
    square[0, 8:20, 8:20] = 255
    outline = corrupt("canny_edges", square, seed=0)[0]
    assert set(np.unique(outline)) == {0, 255}
    assert not outline[11:17, 11:17].any() and not outline[:6].any()
    for row in range(11, 17):
        assert np.flatnonzero(outline[row]).tolist() in ([7, 20], [8, 19], [7, 8, 19, 20])


def test_canny_drops_an_edge_that_is_weak_everywhere():
    faint = np.zeros((2, 28, 28), np.uint8)
    faint[0, 10:18, 10:18] = 13  # steepest slope: 4 * 13 / 255 * 0.64, between the two thresholds
    faint[1, 10:18, 10:18] = 40
    edges = corrupt("canny_edges", faint, seed=0)
    assert not edges[0].any() and edges[1].any()
