"""Shape features: exact, named, and about what they say they are about."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from digits.features import shape
from digits.features.shape import SHAPE_FEATURES, SHAPE_NAMES, shape_features

UNIT = [name for name, text in SHAPE_FEATURES.items() if "0..1" in text]


def drawn(*boxes):
    """An image with white boxes (top, bottom, left, right)."""
    image = np.zeros((28, 28), np.uint8)
    for top, bottom, left, right in boxes:
        image[top:bottom, left:right] = 255
    return image


def of(image):
    return dict(zip(SHAPE_NAMES, shape_features(image[None])[0].tolist(), strict=True))


RING = drawn((8, 20, 8, 11), (8, 20, 17, 20), (8, 11, 8, 20), (17, 20, 8, 20))
BAR = drawn((4, 24, 12, 16))
noise = np.random.default_rng(0)
MANY = np.concatenate(
    [
        noise.integers(0, 256, (40, 28, 28), np.uint8),
        (noise.random((40, 28, 28)) < 0.2).astype(np.uint8) * noise.integers(1, 256, (40, 1, 1)),
        np.stack([RING, BAR, np.zeros_like(BAR), np.full_like(BAR, 255)]),
    ]
).astype(np.uint8)


@pytest.mark.parametrize("chunk", [1, 7, 1024])
def test_an_image_has_the_same_bits_alone_and_in_any_batch(chunk, monkeypatch):
    alone = np.concatenate([shape_features(image[None]) for image in MANY])
    monkeypatch.setattr(shape, "CHUNK", chunk)
    order = np.random.default_rng(1).permutation(len(MANY))
    assert shape_features(MANY).tobytes() == alone.tobytes()
    assert shape_features(MANY[order]).tobytes() == alone[order].tobytes()
    assert shape_features(np.asfortranarray(MANY)).tobytes() == alone.tobytes()


def test_pieces_and_holes_are_those_that_are_counted_one_image_at_a_time():
    eight = np.ones((3, 3))
    for image, found in zip(MANY, shape_features(MANY), strict=True):
        ink = (2 * image.astype(int) >= image.max()) & (image > 0)
        parts = ndimage.label(ink, eight)[1]
        outside = np.pad(~ink, 1, constant_values=True)
        holes = ndimage.label(outside)[1] - 1
        assert found[SHAPE_NAMES.index("parts")] == parts
        assert found[SHAPE_NAMES.index("holes")] == holes


@settings(max_examples=60, deadline=None)
@given(arrays(np.uint8, (28, 28), elements=st.integers(0, 255)))
def test_every_image_has_finite_features_within_their_ranges(image):
    found = of(image)
    assert np.isfinite(list(found.values())).all()
    assert all(-1e-6 <= found[name] <= 1 + 1e-6 for name in UNIT)


@settings(max_examples=30, deadline=None)
@given(arrays(np.uint8, (28, 28), elements=st.sampled_from([0, 0, 0, 90, 255])))
def test_a_mirror_turns_what_has_a_side_and_leaves_the_rest(image):
    one, other = of(image), of(image[:, ::-1])
    turned = {"centre_column", "slant", "diagonal", "skewness_columns"}
    for name in SHAPE_NAMES:
        sign = -1 if name in turned else 1
        assert other[name] == pytest.approx(sign * one[name], abs=2e-3), name


def test_a_ring():
    ring = of(RING)
    assert (ring["parts"], ring["holes"]) == (1, 1)
    assert ring["enclosed"] == pytest.approx(36 / 784)
    assert ring["thickness"] == 2  # three pixels: an outer layer on both sides, and what is left
    assert ring["strokes_across"] == pytest.approx((3 * 1 + 6 * 2 + 3 * 1) / 12)
    assert ring["height"] == ring["width"] == pytest.approx(12 / 28)
    symmetries = [value for name, value in ring.items() if name.startswith("symmetry")]
    assert symmetries == [1, 1, 1]


def test_a_bar():
    bar = of(BAR)
    assert bar["ink"] == pytest.approx(80 / 784) and bar["holes"] == 0
    assert bar["slant"] == 0 and bar["upright"] == pytest.approx(bar["elongation"])
    assert bar["aspect"] == pytest.approx(4 / 24)
    assert bar["stroke_width"] == pytest.approx(2 * 80 / 48)
    assert bar["strokes_across"] == bar["strokes_down"] == 1


def test_a_slanted_stroke_leans_to_the_right_upwards():
    image = np.zeros((28, 28), np.uint8)
    for row in range(4, 24):
        image[row, 24 - row // 2 - 4] = 200
    leaning = of(image)
    assert leaning["slant"] == pytest.approx(0.5, abs=0.02) and leaning["diagonal"] < -0.5


def test_lower_contrast_changes_the_tone_and_not_the_form():
    full, half = of(RING), of(RING // 2)
    changed = {name for name in SHAPE_NAMES if full[name] != half[name]}
    assert changed == {"brightness", "peak", "roughness"}


def test_a_blank_image_has_zeros():
    assert not shape_features(np.zeros((2, 28, 28), np.uint8)).any()


def test_no_image_has_no_features():
    assert shape_features(np.zeros((0, 28, 28), np.uint8)).shape == (0, len(SHAPE_NAMES))


@pytest.mark.parametrize("images", [np.zeros((1, 28, 28)), np.zeros((28, 28), np.uint8)])
def test_other_arrays_are_refused(images):
    with pytest.raises(ValueError, match=r"uint8 \[N, 28, 28\]"):
        shape_features(images)


def test_sixteen_to_thirty_of_them_each_explained():
    assert 16 <= len(SHAPE_FEATURES) <= 30
    assert all(len(text) > 10 for text in SHAPE_FEATURES.values())


def test_measuring_needs_neither_the_feature_store_nor_torch():
    script = (
        "import sys, digits.features.shape; print({'feast', 'torch', 'pandas'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr
