"""Pictures that are no digits, made otherwise than those that a model's detector learns from.

Letters are of matplotlib's fonts, scribbles are drawn by Pillow, noise is plain; what is drawn is
a page that goes through the preprocessing.
"""

from __future__ import annotations

import string

import matplotlib.font_manager
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from digits.contract.preprocessing import Preprocessing

PAGE = 200  # side, in pixels
FONTS = (
    "DejaVu Sans",
    "DejaVu Serif",
    "DejaVu Sans Mono",
    "STIXGeneral",
    "cmr10",
    "cmss10",
    "cmtt10",
    "cmb10",
)
# 0: D O Q o; 1: I i l; 2: Z z; 5: S s; 6: G b; 8: B; 9: g q.
LIKE_DIGITS = "DOQoIilZzSsGbBgq"
LETTERS = [letter for letter in string.ascii_letters if letter not in LIKE_DIGITS]
preprocess = Preprocessing()


def letters():
    """Every letter but those like digits, in eight fonts, upright and turned by 8 degrees."""
    images = []
    for name in FONTS:
        font = ImageFont.truetype(matplotlib.font_manager.findfont(name), 90)
        for letter in LETTERS:
            page = Image.new("L", (PAGE, PAGE), 255)
            draw = ImageDraw.Draw(page)
            draw.text((PAGE / 2, PAGE / 2), letter, font=font, fill=0, anchor="mm")
            turned = (page.rotate(angle, fillcolor=255) for angle in (-8, 0, 8))
            images += [preprocess(np.asarray(each)) for each in turned]
    return np.stack(images)


def blanks():
    """Even pages of several greys, as pixels and as pictures."""
    levels = (0, 1, 4, 16, 64, 128, 255)
    pages = [np.full((100, 100), level, np.uint8) for level in levels]
    flat = [np.full((28, 28), level, np.uint8) for level in levels]
    return np.stack([*flat, *preprocess.many(pages)])


def noise(seed, count=60):
    """Uniform, Gaussian, salt and pepper of several strengths; as pixels and as pictures."""
    random = np.random.default_rng(seed)
    shape = (count, 28, 28)
    kinds = [random.integers(0, most, shape) for most in (33, 97, 161, 256)]
    for middle in (0, 128):
        kinds += [random.normal(middle, spread, shape) for spread in (20, 60, 120)]
    kinds += [255 * (random.random(shape) < share) for share in (0.02, 0.05, 0.1, 0.3, 0.5)]
    page = (count, 140, 140)
    pages = [
        random.integers(0, 256, page),
        random.normal(200, 40, page),
        255 * (random.random(page) > 0.05),
    ]
    pixels = np.concatenate([np.clip(each, 0, 255).astype(np.uint8) for each in kinds])
    pictures = np.concatenate([np.clip(each, 0, 255).astype(np.uint8) for each in pages])
    return np.concatenate([pixels, preprocess.many(pictures)])


def scribbles(seed, count=150):
    """Bent lines, several curves, several strokes, filled shapes: ``count`` of each."""
    random = np.random.default_rng(seed)
    return np.stack([_scribble(random, kind) for kind in range(4) for _ in range(count)])


def _scribble(random, kind):
    page = Image.new("L", (PAGE, PAGE), 255)
    draw, width = ImageDraw.Draw(page), int(random.integers(6, 16))
    if kind == 0:
        points = random.uniform(20, 180, (random.integers(6, 14), 2))
        draw.line([tuple(point) for point in points], fill=0, width=width, joint="curve")
    elif kind == 1:
        for _ in range(random.integers(3, 6)):
            (x, y), (across, down) = random.uniform(20, 120, 2), random.uniform(30, 80, 2)
            start = random.uniform(0, 360)
            end = start + random.uniform(90, 340)
            draw.arc((x, y, x + across, y + down), start, end, fill=0, width=width)
    elif kind == 2:
        for _ in range(random.integers(4, 9)):
            ends = random.uniform(20, 180, (2, 2))
            draw.line([tuple(end) for end in ends], fill=0, width=width)
    else:
        for _ in range(random.integers(1, 4)):
            (x, y), (across, down) = random.uniform(20, 100, 2), random.uniform(40, 90, 2)
            shape = draw.ellipse if random.random() < 0.5 else draw.rectangle
            shape((x, y, x + across, y + down), fill=0)
    return preprocess(np.asarray(page))
