"""From a request's body, in any of the forms that it may have, to images as a model sees them."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from serving.call import Call
from serving.errors import RequestError
from serving.pictures import BAD_IMAGE, Images, Preprocess, from_base64, read_pictures
from serving.settings import Limits

SIDE = 28
PIXELS = SIDE * SIDE
KEY_LENGTH = 128


KINDS = "application/json, image/*, application/octet-stream or multipart/form-data"


@dataclass(slots=True)
class Asked:
    """What a body asks about.

    Attributes:
        images: uint8 ``[N, 28, 28]``, N at least 1, ink high on 0.
        many: whether the answer is a list; one image in a list is many too.
        key: that the client gave, if any.
        rest: other fields of a JSON body.
    """

    images: Images
    many: bool
    key: str | None
    rest: dict[str, Any]


def read_json(
    content: Any, limits: Limits, preprocess: Preprocess, *, known: Sequence[str] = ()
) -> Asked:
    """Read ``{"pixels": ...}``, ``{"image": ...}`` or ``{"images": [...]}``.

    Args:
        content: as parsed.
        limits: of the number of images and their size.
        preprocess: from a picture of any size to what the model sees; pixels are taken as they are.
        known: further fields that the route reads.

    Raises:
        RequestError: not such JSON; the message names the field.
    """
    if not isinstance(content, dict):
        raise RequestError(422, "bad_json", 'an object is expected, such as {"pixels": [...]}')
    given = [name for name in ("pixels", "image", "images") if name in content]
    if len(given) != 1:
        raise RequestError(422, "missing_field", "give one of pixels, image and images")
    name = given[0]
    value = content.pop(name)
    key = checked_key(content.pop("key", None))
    for other in content:
        if other not in known:
            raise RequestError(422, "unknown_field", f"unknown field {other[:50]!r}")
    if name == "pixels":
        images, many = read_pixels(value, limits.batch)
    else:
        many = name == "images"
        texts = value if many else [value]
        images = _read_base64(texts, name, limits, preprocess)
    return Asked(images, many, key, content)


def parse_json(body: bytes) -> Any:
    """Parse JSON.

    Raises:
        RequestError: it is none; NaN and Infinity are not JSON.
    """
    if not body:
        raise RequestError(400, "empty_body", "the body is empty")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RequestError(400, "bad_json", f"the body is not JSON: {error}") from error


def checked_key(value: Any) -> str | None:
    """Return the key that a client gave, or None.

    Raises:
        RequestError: it is no text, empty or too long.
    """
    if value is None:
        return None
    # PostgreSQL has no room for the character 0.
    if isinstance(value, str) and 0 < len(value) <= KEY_LENGTH and "\0" not in value:
        return value
    raise RequestError(422, "bad_key", f"key must be a text of 1 to {KEY_LENGTH} characters")


def key_of(call: Call) -> str | None:
    """Return the key in the request's header, if there is one."""
    value = call.headers.get(b"x-digits-key")
    return checked_key(value.decode("latin-1")) if value is not None else None


def read_pixels(value: Any, most: int) -> tuple[Images, bool]:
    """Read grey levels in nested lists: 28x28, 784, or lists of these.

    Numbers lie in 0..1 if none exceeds 1, else in 0..255; ink is high.

    Returns:
        uint8 ``[N, 28, 28]``, and whether it was a list of images.

    Raises:
        RequestError: of another shape, not numbers, or out of range.
    """
    if not isinstance(value, list) or not value:
        raise _shape()
    first = value[0]
    rows = value
    if not isinstance(first, list):
        many, rows = False, [value]
    elif first and isinstance(first[0], list):
        many, rows = True, [row for image in value for row in _image(image)]
    else:
        many = len(first) == PIXELS
    count, wrong = divmod(len(rows) * len(rows[0]), PIXELS)
    if wrong or not count or len(rows[0]) not in (SIDE, PIXELS) or (count > 1 and not many):
        raise _shape()
    check_count(count, most)
    flat = _levels(rows)
    if flat.size != count * PIXELS:
        raise _shape()
    return flat.reshape(count, SIDE, SIDE), many


def _image(image: Any) -> list[Any]:
    if not isinstance(image, list) or len(image) != SIDE:
        raise _shape()
    return image


def _levels(rows: list[Any]) -> NDArray[np.uint8]:
    """Return the grey levels of equally long rows, one after the other."""
    width = len(rows[0])
    for row in rows:
        if not isinstance(row, list) or len(row) != width:
            raise _shape()
    try:
        # Whole numbers within 0..255 and nothing else: five times as fast as NumPy.
        whole = np.frombuffer(b"".join(map(bytes, rows)), np.uint8)
    except (TypeError, ValueError):
        return _from_numbers(rows)
    return whole * np.uint8(255) if whole.max() <= 1 else whole


def _from_numbers(rows: list[Any]) -> NDArray[np.uint8]:
    return to_levels(to_numbers(chain.from_iterable(rows), "pixels"))


def to_numbers(values: Iterable[Any], name: str) -> NDArray[np.float64]:
    """Return numbers out of JSON as float64 ``[N]``.

    NumPy itself would give a text among them as much room for each value as that text takes.

    Raises:
        RequestError: one of them is no number; names ``name``.
    """
    try:
        return np.frombuffer(array("d", values), np.float64)
    except (TypeError, OverflowError) as error:
        raise RequestError(422, "bad_pixels", f"{name} must be numbers and nothing else") from error


def to_levels(numbers: NDArray[Any]) -> NDArray[np.uint8]:
    """Bring numbers in 0..1 or 0..255 to grey levels of the same shape.

    Raises:
        RequestError: one is not finite or out of range.
    """
    values = numbers.astype(np.float64)
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    if not (low >= 0 and high <= 255):  # a NaN is neither
        raise RequestError(
            422, "bad_pixels", f"pixels must lie in 0..1 or 0..255, not {low:g} to {high:g}"
        )
    if high <= 1:
        values *= 255
    return np.rint(values).astype(np.uint8)


def _shape() -> RequestError:
    return RequestError(
        422, "bad_shape", "pixels must be 28x28 or 784 numbers, or a list of such images"
    )


def check_count(count: int, most: int) -> None:
    """Hold the number of images against the limit.

    Raises:
        RequestError: there are more.
    """
    if count > most:
        raise RequestError(413, "too_many", f"{count:,} images in one request; at most {most:,}")


def read_octets(body: bytes, most: int) -> Images:
    """Read N times 784 bytes, a grey level each, as uint8 ``[N, 28, 28]``.

    Raises:
        RequestError: not a multiple of 784 bytes, or too many.
    """
    count, wrong = divmod(len(body), PIXELS)
    if wrong or not count:
        raise RequestError(
            422, "bad_shape", f"{len(body):,} bytes are not whole images of {PIXELS} bytes each"
        )
    check_count(count, most)
    return np.frombuffer(body, np.uint8).reshape(count, SIDE, SIDE)


def _read_base64(texts: Any, name: str, limits: Limits, preprocess: Preprocess) -> Images:
    if not isinstance(texts, list) or not texts:
        raise RequestError(422, BAD_IMAGE, f"{name} must be a list of pictures in base64")
    check_count(len(texts), limits.batch)
    return read_pictures((from_base64(text, name) for text in texts), limits, preprocess)
