"""From the bytes of an uploaded or stored picture to grey pixels, trusting nothing about them."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import (
    BmpImagePlugin,
    Image,
    ImageFile,
    ImageOps,
    JpegImagePlugin,
    PngImagePlugin,
    WebPImagePlugin,
)

from digits.errors import DataError

FORMATS = "PNG, JPEG, WebP or BMP"

# The classes themselves instead of Image.open, which warns or raises by a limit that is global to
# the process; ours is an argument.
_OPENERS: dict[str, Callable[[io.BytesIO], ImageFile.ImageFile]] = {
    "PNG": PngImagePlugin.PngImageFile,
    "JPEG": JpegImagePlugin.JpegImageFile,
    "WebP": WebPImagePlugin.WebPImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
}
# Each scan of a progressive JPEG goes over all its pixels once more, however few bytes it has;
# usual are ten or so.
_SCAN, _MOST_SCANS = b"\xff\xda", 64
# Pillow unpacks these byte by byte in Python. The oldest kind of header has no such field.
_RUN_LENGTHS, _OLD_BMP = (b"\x01", b"\x02"), b"\x0c"
# Opaque pixels that differ by this many grey levels show both paper and ink.
_PLAIN = 64
_STRIP = 1 << 20  # pixels


def decode(data: bytes, *, max_pixels: int, max_bytes: int) -> NDArray[np.uint8]:
    """Decode a picture to grey levels uint8 ``[H, W]``, upright and on opaque paper.

    PNG, JPEG, WebP and BMP, told apart by content. The size in the header is checked before a
    pixel is decoded; the EXIF orientation is applied; 16-bit values are brought to 8; a
    transparent background becomes paper that the ink stands out from. Of an animation, the first
    frame.

    Args:
        data: the file's bytes.
        max_pixels: largest height times width accepted.
        max_bytes: largest ``len(data)`` accepted.

    Raises:
        DataError: not such a picture, too large, damaged or truncated; the message says which.
    """
    if len(data) > max_bytes:
        raise DataError(f"the image has {len(data):,} bytes, more than the {max_bytes:,} allowed")
    kind = _kind(data)
    _check_size(_webp_size(data) if kind == "WebP" else (1, 1), max_pixels)
    _check_effort(kind, data)
    try:
        image = _OPENERS[kind](io.BytesIO(data))
        _check_size(image.size, max_pixels)
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        return _flat(image)
    except DataError:
        raise
    # Pillow's readers let nearly any exception out on damaged bytes: SyntaxError, struct.error,
    # EOFError, ValueError, MemoryError and others.
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise DataError(f"the {kind} image is damaged or truncated ({reason})") from error


def _kind(data: bytes) -> str:
    """Name the format by the first bytes; what is not on the list is refused."""
    if not data:
        raise DataError("the image is empty (0 bytes)")
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WebP"
    if data.startswith(b"BM"):
        return "BMP"
    raise DataError(f"the content is not an image of a known format (give {FORMATS})")


def _check_size(size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise DataError(f"the image is {width}x{height}: it has no pixels")
    if width * height > max_pixels:
        raise DataError(
            f"the image is {width}x{height} = {width * height:,} pixels, more than the "
            f"{max_pixels:,} allowed"
        )


def _check_effort(kind: str, data: bytes) -> None:
    """Refuse the few files whose decoding takes far longer than their size lets expect."""
    if kind == "JPEG" and data.count(_SCAN) > _MOST_SCANS:
        raise DataError(f"the JPEG image has more than {_MOST_SCANS} scans")
    if kind == "BMP" and data[14:15] != _OLD_BMP and data[30:31] in _RUN_LENGTHS:
        raise DataError("the BMP image is compressed; send it plain, or as PNG")


def _webp_size(data: bytes) -> tuple[int, int]:
    """Read width and height from the header (RFC 9649): opening a WebP file allocates them."""
    chunk, body = data[12:16], data[20:30]
    if len(body) == 10:
        if chunk == b"VP8X":
            width, height = body[4:7], body[7:10]
            return int.from_bytes(width, "little") + 1, int.from_bytes(height, "little") + 1
        if chunk == b"VP8L":
            bits = int.from_bytes(body[1:5], "little")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        if chunk == b"VP8 ":
            across, down = struct.unpack("<HH", body[6:10])
            return across & 0x3FFF, down & 0x3FFF
    raise DataError("the WebP image is damaged or truncated (no size in its header)")


def _flat(image: Image.Image) -> NDArray[np.uint8]:
    """Turn any Pillow mode into grey levels without transparency."""
    if image.mode.startswith("I"):
        # 16-bit grey; Pillow's own conversion to L would cut at 255.
        wide = np.clip(np.asarray(image), 0, 65535).astype(np.int32)
        wide *= 255
        wide += 32767
        wide //= 65535
        return wide.astype(np.uint8)
    if not image.has_transparency_data:
        return np.asarray(image.convert("L"))
    full = image.convert("RGBA")
    ink = np.asarray(full.convert("L"))
    alpha = np.asarray(full.getchannel("A"))
    del full
    paper = _paper(ink, alpha)
    flat = np.empty_like(ink)
    for rows in _strips(ink):  # floats of a whole picture would take twelve times its room
        opacity = alpha[rows].astype(np.float32) / np.float32(255)
        flat[rows] = np.rint(ink[rows] * opacity + paper * (1 - opacity))
    return flat


def _strips(image: NDArray[np.uint8]) -> Iterator[slice]:
    """Cut an image ``[H, W]`` into strips of a moderate number of pixels."""
    height, width = image.shape
    step = max(1, _STRIP // width)
    return (slice(start, start + step) for start in range(0, height, step))


def _paper(ink: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> float:
    """Choose the grey level of the paper that shows through the transparent pixels.

    A page that is mostly opaque and has contrast of its own continues as it is; otherwise what is
    opaque is the ink, and the paper is black or white, whichever is further from it.
    """
    opaque = ink[alpha >= 128]
    if not opaque.size:
        weight = int(alpha.sum(dtype=np.int64))
        total = sum(int(np.vdot(ink[rows].astype(int), alpha[rows])) for rows in _strips(ink))
        return _opposite(total / weight) if weight else 255.0
    if 2 * opaque.size >= ink.size and np.ptp(opaque) >= _PLAIN:
        return float(np.median(opaque))
    return _opposite(float(opaque.mean()))


def _opposite(level: float) -> float:
    return 0.0 if level >= 128 else 255.0
