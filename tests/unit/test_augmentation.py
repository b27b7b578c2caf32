"""Augmentation: what a sample gets depends on its key alone."""

from __future__ import annotations

import albumentations
import numpy as np
import pytest

from digits.data.augmentation import Augmentation


class Shift(albumentations.ImageOnlyTransform):
    """Adds what it draws to every pixel, so that a test can read the draw."""

    def __init__(self):
        super().__init__(p=1)

    def apply(self, img, value, **params):
        return img + np.uint8(value)

    def get_params(self):
        return {"value": self.py_random.randrange(256)}


class NumpyShift(Shift):
    """The same from NumPy's generator, which keeps half of a 64-bit draw for the next one."""

    def get_params(self):
        return {"value": self.random_generator.integers(256, dtype=np.uint32)}


class Scale(Shift):
    """The same draw in the upper half of the image only."""

    def apply(self, img, value, **params):
        out = img.copy()
        out[:14] += np.uint8(value)
        return out


def keys(count, seed=0, epoch=0):
    return [(seed, epoch, index) for index in range(count)]


def draws(seed=0, epoch=0, count=64, kind=Shift):
    images = np.zeros((count, 28, 28), np.uint8)
    return Augmentation({"shift": kind()})(images, keys(count, seed, epoch))[:, 0, 0]


def test_sample_is_the_same_alone_or_in_a_batch(digits):
    images = digits.train.images[:6]
    augment = Augmentation({"turn": albumentations.Affine(rotate=(-20, 20), p=0.9)})
    batch = augment(images, keys(6))
    alone = [augment(images[i : i + 1], keys(6)[i : i + 1])[0] for i in (3, 1, 5)]
    assert np.array_equal(np.stack(alone), batch[[3, 1, 5]])
    assert batch.dtype == np.uint8
    assert not np.array_equal(batch, images)


@pytest.mark.parametrize("kind", [Shift, NumpyShift])
def test_every_sample_epoch_and_seed_draws_anew(kind):
    assert len(set(draws(kind=kind).tolist())) > 40
    assert (draws(kind=kind) != draws(epoch=1, kind=kind)).mean() > 0.9
    assert (draws(kind=kind) != draws(seed=1, kind=kind)).mean() > 0.9


@pytest.mark.parametrize("kind", [Shift, NumpyShift])
def test_draws_depend_on_the_key_alone(kind):
    images = np.zeros((3, 28, 28), np.uint8)
    augment = Augmentation({"shift": kind()})
    first = augment(images, keys(3))
    assert np.array_equal(augment(images, keys(3)), first)
    assert np.array_equal(augment(images[:1], keys(3)[2:]), first[2:])
    assert np.array_equal(augment(images, np.array(keys(3))), first)


@pytest.mark.parametrize("kind", [Shift, NumpyShift])
def test_draws_are_uniform(kind):
    counts = np.bincount(draws(count=8192, kind=kind) // 16, minlength=16)
    # Four standard deviations of the chi-square with 15 degrees of freedom.
    assert ((counts - 512) ** 2 / 512).sum() < 15 + 4 * 30**0.5


def test_steps_do_not_share_their_draws():
    count = 400
    images = np.zeros((count, 28, 28), np.uint8)
    out = Augmentation({"shift": Shift(), "scale": Scale()})(images, keys(count))
    first, both = out[:, 20, 0], out[:, 0, 0]
    second = both - first
    assert abs(np.corrcoef(first.astype(float), second.astype(float))[0, 1]) < 0.2


def test_steps_are_applied_in_the_order_of_the_mapping():
    image = np.full((1, 28, 28), 200, np.uint8)
    invert = albumentations.InvertImg(p=1)
    posterise = albumentations.Posterize(num_bits=(1, 1), p=1)
    one = Augmentation({"a": invert, "b": posterise})(image, keys(1))
    other = Augmentation({"b": posterise, "a": invert})(image, keys(1))
    assert (one.max(), other.max()) == (0, 127)


def test_no_steps_is_the_image_itself(digits):
    images = digits.train.images[:3]
    assert Augmentation({})(images, keys(3)) is images


def test_keys_must_match_the_images(digits):
    augment = Augmentation({"shift": Shift()})
    with pytest.raises(ValueError, match="shorter"):
        augment(digits.train.images[:3], keys(2))


def test_unknown_argument_of_a_transform_is_an_error():
    # Albumentations warns; the configuration check makes that warning an error by this text.
    with pytest.warns(UserWarning, match="not valid"):
        albumentations.Affine(rotat=(-10, 10))
