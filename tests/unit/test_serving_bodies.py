"""What a body may be, and what is said of one that may not."""

from __future__ import annotations

import base64
import io
import time
import tracemalloc

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from serving.bodies import parse_json, read_json, read_octets, read_pixels
from serving.errors import RequestError
from serving.pictures import read_picture, read_pictures
from serving.settings import Limits

LIMITS = Limits(batch=4, image_pixels=10_000)
DIGIT = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)


def same(image: np.ndarray) -> np.ndarray:
    """Preprocessing that shows what it was given."""
    return image[:28, :28]


def png(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("value", "count", "many"),
    [
        (DIGIT.tolist(), 1, False),
        (DIGIT.reshape(784).tolist(), 1, False),
        ([DIGIT.tolist()] * 3, 3, True),
        ([DIGIT.reshape(784).tolist()] * 2, 2, True),
        ([DIGIT.tolist()], 1, True),
    ],
    ids=["28x28", "784", "3x28x28", "2x784", "1x28x28"],
)
@pytest.mark.parametrize("scale", [1, 1.0, 1 / 255], ids=["ints", "floats", "shares"])
def test_pixels_of_every_shape_and_kind_are_the_same_image(value, count, many, scale):
    value = orjson.loads(orjson.dumps((np.array(value) * scale).tolist()))
    images, is_many = read_pixels(value, 4)
    assert is_many == many
    assert images.dtype == np.uint8 and images.shape == (count, 28, 28)
    assert all((image == DIGIT).all() for image in images)


def test_zeros_and_ones_are_black_and_white():
    images, _ = read_pixels((DIGIT > 128).astype(int).tolist(), 1)
    assert set(np.unique(images)) == {0, 255}


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ([], "bad_shape"),
        ("text", "bad_shape"),
        ([1] * 783, "bad_shape"),
        ([1] * 785, "bad_shape"),
        ([[0] * 28] * 27, "bad_shape"),
        ([[0] * 28] * 27 + [[0] * 27], "bad_shape"),
        ([[0] * 28] * 56, "bad_shape"),
        ([[0] * 784, [0] * 783], "bad_shape"),
        ([[[0] * 28] * 28, [[0] * 28] * 27], "bad_shape"),
        ([[[0] * 28] * 28, 3], "bad_shape"),
        ([[]], "bad_shape"),
        ([[[]]], "bad_shape"),
        ([[[[0]]]], "bad_shape"),
        (["7"] * 784, "bad_pixels"),
        ([0] * 783 + ["7"], "bad_pixels"),
        ([None] * 784, "bad_pixels"),
        ([{}] * 784, "bad_pixels"),
        ([0] * 783 + [256], "bad_pixels"),
        ([0] * 783 + [-1], "bad_pixels"),
        ([0] * 783 + [-0.5], "bad_pixels"),
        ([0] * 783 + [1e300], "bad_pixels"),
        ([0] * 783 + [10**30], "bad_pixels"),
        ([[0] * 784] * 5, "too_many"),
    ],
)
def test_pixels_of_no_image_are_refused_with_a_reason(value, code):
    with pytest.raises(RequestError) as refused:
        read_pixels(value, 4)
    assert refused.value.code == code
    assert 400 <= refused.value.status < 500


@pytest.mark.parametrize("row", [["7" * 100_000] + [0] * 783, [0.5] * 783 + ["7" * 100_000]])
def test_a_long_text_among_the_numbers_takes_no_more_room_than_itself(row):
    tracemalloc.start()
    try:
        with pytest.raises(RequestError, match="numbers and nothing else"):
            read_pixels(row, 4)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_pictures_that_take_too_long_are_not_read_to_the_end():
    read = []

    def slow(image):
        read.append(1)
        time.sleep(0.05)
        return same(image)

    with pytest.raises(RequestError) as refused:
        read_pictures([png(DIGIT)] * 50, Limits(request_seconds=0.1), slow)
    assert refused.value.status == 503
    assert len(read) < 10


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=30) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=60,
)


@given(json_values)
def test_whatever_json_it_is_the_answer_is_an_image_or_a_refusal(value):
    for content in (value, {"pixels": value}, {"image": value}, {"images": value}):
        try:
            shape = read_json(content, LIMITS, same).images.shape[1:]
        except RequestError as refused:
            shape = refused.status // 100
        assert shape in ((28, 28), 4)


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"pixels": [NaN]}', b'{"pixels": Infinity}', b"\xff"]
)
def test_what_is_not_json_is_refused(body):
    with pytest.raises(RequestError) as refused:
        parse_json(body)
    assert refused.value.status == 400


def test_pictures_come_in_base64_also_as_a_canvas_gives_them():
    text = base64.b64encode(png(DIGIT)).decode()
    for given_as in (text, f"data:image/png;base64,{text}"):
        asked = read_json({"image": given_as, "key": "k"}, LIMITS, same)
        assert (asked.images[0] == DIGIT).all()
        assert (asked.many, asked.key) == (False, "k")
    asked = read_json({"images": [text, text]}, LIMITS, same)
    assert asked.many and len(asked.images) == 2


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ({}, "missing_field"),
        ({"pixels": DIGIT.tolist(), "image": "x"}, "missing_field"),
        ({"pixels": DIGIT.tolist(), "pixel": 3}, "unknown_field"),
        ({"pixels": DIGIT.tolist(), "key": ""}, "bad_key"),
        ({"pixels": DIGIT.tolist(), "key": 3}, "bad_key"),
        ({"pixels": DIGIT.tolist(), "key": "k" * 129}, "bad_key"),
        ({"image": 3}, "bad_image"),
        ({"image": "?"}, "bad_base64"),
        ({"image": "é"}, "bad_base64"),
        ({"image": ""}, "bad_image"),
        ({"image": base64.b64encode(b"<svg/>").decode()}, "bad_image"),
        ({"images": []}, "bad_image"),
        ({"images": "x"}, "bad_image"),
        ({"images": ["x"] * 5}, "too_many"),
        ([1], "bad_json"),
    ],
)
def test_other_faults_of_json_have_codes_of_their_own(content, code):
    with pytest.raises(RequestError) as refused:
        read_json(content, LIMITS, same)
    assert refused.value.code == code


def test_octets_are_images_byte_by_byte():
    assert (read_octets(DIGIT.tobytes() * 2, 4) == DIGIT).all()
    for wrong in (b"", b"x" * 783, DIGIT.tobytes() * 5):
        with pytest.raises(RequestError):
            read_octets(wrong, 4)


@pytest.mark.parametrize(
    "data",
    [
        png(DIGIT)[:-80],
        png(DIGIT)[:60],
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"<!doctype html><p>",
        b"\x89PNG\r\n\x1a\n" + b"\0" * 100,
        png(np.zeros((200, 200), np.uint8)),  # more pixels than the limit
    ],
    ids=["cut", "cut early", "svg", "html", "no png", "large"],
)
def test_what_is_no_picture_is_refused(data):
    with pytest.raises(RequestError) as refused:
        read_picture(data, LIMITS, same)
    assert refused.value.code == "bad_image"
