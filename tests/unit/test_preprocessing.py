"""The one preprocessing: MNIST's protocol from any page."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image, ImageDraw, ImageFilter

from digits.contract.preprocessing import Preprocessing
from digits.errors import DataError

SEVEN = [(0.3, 0.2), (0.7, 0.2), (0.45, 0.8)]
FOUR = [(0.62, 0.8), (0.62, 0.15), (0.25, 0.6), (0.75, 0.6)]
prepare = Preprocessing()


def page(points=FOUR, *, side=280, width=0.08, scale=1.0, at=(0.0, 0.0)):
    """Black strokes on a white square page, uint8 [side, side]; drawn large, then averaged."""
    image = Image.new("L", (side * 4, side * 4), 255)
    pen = ImageDraw.Draw(image)
    dots = [((x * scale + at[0]) * side * 4, (y * scale + at[1]) * side * 4) for x, y in points]
    pen.line(dots, fill=0, width=round(width * scale * side * 4), joint="curve")
    return np.asarray(image.reduce(4))


def photo(image, *, slope=60.0, corners=0.0, noise=4.0, contrast=0.6):
    """The page under a lamp from one side, through a lens with dark corners, with sensor noise."""
    soft = np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(1)), dtype=float)
    y, x = np.mgrid[-1 : 1 : soft.shape[0] * 1j, -1 : 1 : soft.shape[1] * 1j]
    paper = 190 + slope / 2 * (x + 0.5 * y) - corners * (x * x + y * y)
    noisy = paper * (1 - contrast * (255 - soft) / 255)
    noisy += np.random.default_rng(0).normal(0, noise, soft.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def difference(a, b):
    """Absolute difference as a share of the ink, a shift by one pixel allowed.

    The protocol centres by whole pixels, so a centre of mass half way between two may go to either.
    """
    steps = (-1, 0, 1)
    moved = [np.roll(a, (y, x), axis=(0, 1)).astype(float) for y in steps for x in steps]
    return min(np.abs(image - b).sum() for image in moved) / b.sum()


def test_result_follows_the_protocol():
    result = prepare(page())
    rows, columns = np.nonzero(result > 25)
    assert result.shape == (28, 28)
    assert result.dtype == np.uint8
    assert max(np.ptp(rows), np.ptp(columns)) + 1 in (20, 21)
    weights = result.astype(float)
    centre = (weights.sum(axis=1) @ np.arange(28), weights.sum(axis=0) @ np.arange(28))
    assert np.abs(np.array(centre) / weights.sum() - 14).max() <= 0.6
    assert result.max() == 255


def test_aspect_ratio_is_kept():
    result = prepare(page([(0.3, 0.5), (0.7, 0.5)], width=0.1))
    rows, columns = np.nonzero(result > 127)
    assert np.ptp(columns) + 1 == 20
    assert np.ptp(rows) + 1 == 5


@pytest.mark.parametrize("points", [SEVEN, FOUR])
def test_inversion_changes_nothing(points):
    upright = page(points, side=140)
    assert np.array_equal(prepare(255 - upright), prepare(upright))


@pytest.mark.parametrize("offset", [(13, 0), (0, -21), (-8, 17)])
def test_shift_changes_next_to_nothing(offset):
    shifted = np.roll(page(), offset, axis=(0, 1))
    assert difference(prepare(shifted), prepare(page())) < 0.1


@pytest.mark.parametrize(("side", "scale"), [(140, 1.0), (280, 0.5), (600, 1.0), (1500, 0.6)])
def test_scale_changes_little(side, scale):
    assert difference(prepare(page(side=side, scale=scale)), prepare(page())) < 0.15


def test_contrast_changes_next_to_nothing():
    faint = (200 - (255 - page().astype(int)) * 60 // 255).astype(np.uint8)
    assert difference(prepare(faint), prepare(page())) < 0.05


@pytest.mark.parametrize("points", [SEVEN, FOUR])
def test_second_pass_changes_next_to_nothing(points):
    once = prepare(page(points))
    assert difference(prepare(once), once) < 0.05


def test_pixels_in_the_format_of_mnist_pass_unchanged():
    digit = np.zeros((28, 28), np.uint8)
    digit[4:24, 13:16] = 255
    digit[4:24, 12] = digit[4:24, 16] = 200
    assert np.array_equal(prepare(digit), digit)


def test_faint_pixel_of_a_small_image_is_not_dust():
    digit = np.zeros((28, 28), np.uint8)
    digit[5:24, 13:16] = 255
    digit[24, 14] = 40
    assert np.array_equal(prepare(digit), digit)


def test_centre_of_an_odd_size_is_its_middle_pixel():
    digit = np.zeros((29, 29), np.uint8)
    digit[5:24, 13:16] = 255
    assert np.array_equal(Preprocessing(size=29, box=19)(digit), digit)


@pytest.mark.parametrize("turn", [lambda it: it, np.flipud, np.transpose, lambda it: it.T[:, ::-1]])
def test_ink_with_its_weight_on_one_side_is_not_cut_off(turn):
    heavy = np.zeros((28, 28), np.uint8)
    heavy[:, 13:16] = 255
    heavy[:6, 8:21] = 255
    heavy = turn(heavy)
    assert np.array_equal(Preprocessing(box=28)(heavy), heavy)


@pytest.mark.parametrize("factor", [2, 3])
def test_large_page_is_averaged_down_first(factor):
    large = photo(page(side=256 * factor), noise=12)
    small = np.asarray(Image.fromarray(large).reduce(factor))
    assert np.array_equal(prepare(large), prepare(small))


def test_lamp_and_lens_do_not_become_ink():
    result = prepare(photo(page(), slope=80, corners=25))
    assert difference(result, prepare(page())) < 0.25
    assert not result[:3].any()
    assert not result[:, :3].any()


def test_dust_does_not_shrink_the_digit():
    dusty = page(scale=0.5, at=(0.1, 0.1)).copy()
    dusty[250:252, 250:252] = dusty[20:22, 160:162] = dusty[160:162, 40:42] = 0
    clean = prepare(page(scale=0.5, at=(0.1, 0.1)))
    assert difference(prepare(dusty), clean) < 0.02


@pytest.mark.parametrize("level", [0, 7, 128, 255])
def test_constant_page_is_blank(level):
    assert not prepare(np.full((40, 30), level, np.uint8)).any()


@pytest.mark.parametrize("side", [28, 280])
@pytest.mark.parametrize("noise", [2.0, 8.0])
def test_noisy_empty_page_is_blank(side, noise):
    empty = photo(np.full((side, side), 255, np.uint8), noise=noise)
    assert not prepare(empty).any()


@settings(max_examples=200, deadline=None)
@given(
    arrays(
        np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=40), elements=st.integers(0, 255)
    )
)
def test_any_pixels_give_an_image(image):
    result = prepare(image)
    assert result.shape == (28, 28)
    assert result.dtype == np.uint8
    assert not result.any() or result.max() == 255


@pytest.mark.parametrize("shape", [(1, 5000), (5000, 1), (1, 1), (2, 3)])
def test_extreme_shapes_give_an_image(shape):
    image = np.zeros(shape, np.uint8)
    image[-1, -1] = 255
    assert prepare(image).shape == (28, 28)


@pytest.mark.parametrize(
    ("image", "what"),
    [
        (np.zeros((28, 28), np.float32), r"not float32 \[28, 28\]"),
        (np.zeros((3, 28, 28), np.uint8), r"not uint8 \[3, 28, 28\]"),
        (np.zeros((0, 28), np.uint8), r"at least one pixel, this one is \[0, 28\]"),
        ([[0, 1]], r"not list \[1, 2\]"),
    ],
)
def test_wrong_input_is_refused(image, what):
    with pytest.raises(DataError, match=f"an image .*{what}"):
        prepare(image)


def test_many_is_each():
    pages = [page(SEVEN), page(FOUR, side=100)]
    expected = np.stack([prepare(pages[0]), prepare(pages[1])])
    assert np.array_equal(prepare.many(pages), expected)
    assert prepare.many([]).shape == (0, 28, 28)
    assert prepare.many([]).dtype == np.uint8


def test_fields_survive_json():
    changed = Preprocessing(box=22, noise_factor=3)
    assert Preprocessing.from_dict(json.loads(json.dumps(changed.to_dict()))) == changed


def test_missing_field_takes_its_default():
    assert Preprocessing.from_dict({"box": 22}) == Preprocessing(box=22)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"boxx": 20, "at": 1}, r"unknown fields at, boxx \(known: size, box, "),
        ({"box": "20"}, "preprocessing.box must be int, not '20'"),
        ({"box": 20.0}, "preprocessing.box must be int, not 20.0"),
        ({"box": True}, "preprocessing.box"),
        ({"mean": float("nan")}, "preprocessing.mean"),
        ({"box": 29}, ": needs 1 <= box <= size"),
        ({"box": 0}, "box <= size"),
        ({"size": 1025, "working_size": 2000}, "size <= 1024"),
        ({"ink_threshold": 0.0}, ": ink_threshold must lie between 0 and 1"),
        ({"ink_threshold": 1.0}, "ink_threshold must"),
        ({"minimum_contrast": 0}, r": minimum_contrast must lie in 1\.\.255"),
        ({"minimum_contrast": 256}, "minimum_contrast must"),
        ({"noise_factor": -0.1}, ": noise_factor must not be negative"),
        ({"working_size": 27}, ": working_size must be at least size"),
        ({"std": 0.0}, ": std must be positive"),
        ([1, 2], "must be a mapping, not list"),
    ],
)
def test_bad_fields_are_named(values, message):
    with pytest.raises(DataError, match=message):
        Preprocessing.from_dict(values)


@pytest.mark.parametrize(
    "values",
    [
        {"size": 1, "box": 1},
        {"size": 1024, "box": 1024, "working_size": 1024},
        {"minimum_contrast": 1},
        {"minimum_contrast": 255},
        {"noise_factor": 0},
    ],
)
def test_bounds_themselves_are_allowed(values):
    assert Preprocessing.from_dict(values).to_dict().items() >= values.items()
