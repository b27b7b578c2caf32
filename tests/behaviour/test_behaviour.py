"""What a person expects of any digit reader, asked of a trained one.

Behind each limit stands what it was measured with, over three to five seeds; it leaves room for
other machines, whose rounding makes another training.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from digits.evaluation.stability import stability


def same_answers(model, prepared):
    """Share of the held-out digits that are read the same in another form, 0..1."""
    test = model.data.test.images[: len(prepared)]
    return (model.answers(prepared) == model.answers(test)).mean()


def test_held_out_digits_are_read(model):
    test = model.data.test
    assert (model.answers(test.images) == test.labels).mean() > 0.96  # 0.987 to 0.998


def test_one_pixel_aside_is_the_same_digit(model):
    assert stability(model.classify, model.data.test.images).stable > 0.93  # 0.969 to 0.991


def test_inverted_page_is_the_same_digit(model):
    """Ink on paper or chalk on a board: the preprocessing settles it."""
    pages = model.data.test.images[:200]
    inverted = model.preprocess.many(255 - pages)
    assert same_answers(model, inverted) > 0.96  # 0.99 to 1
    # Without it most of them are read as something else.
    assert same_answers(model, 255 - pages) < 0.5  # 0.12 to 0.18


def test_faint_ink_on_grey_paper_is_the_same_digit(model):
    faint = (200 - 0.4 * model.data.test.images[:200]).astype(np.uint8)
    assert same_answers(model, model.preprocess.many(faint)) > 0.96  # 0.99 to 1


def test_large_scan_with_the_digit_in_a_corner_is_the_same_digit(model):
    pages = np.zeros((100, 220, 180), np.uint8)
    for page, image in zip(pages, model.data.test.images, strict=False):
        page[10:122, 60:172] = Image.fromarray(image).resize((112, 112), Image.Resampling.BICUBIC)
    assert same_answers(model, model.preprocess.many(pages)) > 0.94  # 0.99 to 1


def test_blank_page_is_no_sure_answer(model):
    for paper in (0, 128, 255):
        blank = model.preprocess(np.full((200, 200), paper, np.uint8))
        assert model.confidence(blank[np.newaxis])[0] < 0.3  # 0.11 to 0.13
    assert np.median(model.confidence(model.data.test.images)) > 0.95  # 0.994 to 0.997


def test_noise_lowers_confidence(model, random):
    clean = model.data.test.images.astype(float)
    noise = random.normal(size=clean.shape)
    sure = [
        model.confidence((clean + level * noise).clip(0, 255).astype(np.uint8)).mean()
        for level in (0, 40, 80, 120)
    ]
    assert (np.diff(sure) < 0).all()  # 0.98, 0.92, 0.74, 0.62


def test_half_of_two_digits_is_less_sure_than_either(model):
    """Two digits laid over each other with half the ink each."""
    test = model.data.test
    first, second = test.images[:-1], test.images[1:]
    differ = test.labels[:-1] != test.labels[1:]
    mixed = ((first.astype(int) + second) // 2).astype(np.uint8)
    sure = model.confidence(mixed)[differ].mean()
    assert sure < model.confidence(first)[differ].mean() - 0.1  # 0.63 to 0.68, 0.98


def test_fading_ink_ends_in_doubt(model):
    """On the way to the blank page; such images come from nowhere but around the preprocessing."""
    images = model.data.test.images
    sure = [model.confidence((images * left).astype(np.uint8)).mean() for left in (1, 0.3, 0.1)]
    assert (np.diff(sure) < 0).all()
    assert sure[-1] < 0.4  # 0.12 to 0.16
