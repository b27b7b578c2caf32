"""Pictures in a request, brought to what a model sees."""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits.contract.image import FORMATS, decode
from digits.errors import DataError
from serving.errors import RequestError
from serving.settings import Limits

BAD_IMAGE = "bad_image"  # the code of a picture that is refused

Images = NDArray[np.uint8]
Preprocess = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]


def read_picture(data: bytes, limits: Limits, preprocess: Preprocess) -> Images:
    """Decode one picture and bring it to what the model sees, uint8 ``[1, 28, 28]``.

    Raises:
        RequestError: not a picture of a known format, too large, damaged.
    """
    try:
        gray = decode(data, max_pixels=limits.image_pixels, max_bytes=limits.body_bytes)
        return preprocess(gray)[np.newaxis]
    except DataError as error:
        raise RequestError(422, BAD_IMAGE, str(error)) from error


def read_pictures(files: Iterable[bytes], limits: Limits, preprocess: Preprocess) -> Images:
    """Decode pictures as :func:`read_picture` does, uint8 ``[N, 28, 28]``.

    Raises:
        RequestError: one is refused, or there is no time for the rest of them.
    """
    images = []
    until = time.monotonic() + limits.request_seconds
    for file in files:
        if time.monotonic() > until:  # nobody waits for the answer any more
            raise RequestError(503, "too_slow", "these pictures take too long; send fewer at once")
        images.append(read_picture(file, limits, preprocess))
    return np.concatenate(images)


def from_base64(text: Any, name: str) -> bytes:
    """Return the bytes of a picture in base64, also as a data URL.

    Raises:
        RequestError: it is none; names ``name``.
    """
    if not isinstance(text, str):
        raise RequestError(422, BAD_IMAGE, f"{name} must be base64 text of a {FORMATS} file")
    if text.startswith("data:"):  # as a browser's canvas gives it
        text = text.partition(",")[2]
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise RequestError(422, "bad_base64", f"{name} is not proper base64: {error}") from error
