"""Decoding untrusted pictures."""

from __future__ import annotations

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from digits.contract.image import decode
from digits.errors import DataError

FORMATS = ["PNG", "JPEG", "WEBP", "BMP"]


def gray(image, **options):
    return decode(image, **{"max_pixels": 10**6, "max_bytes": 10**6, **options})


def encoded(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture
def picture():
    """White page, height 20 and width 30, black upper left quarter."""
    pixels = np.full((20, 30), 255, np.uint8)
    pixels[:10, :15] = 0
    return Image.fromarray(pixels)


def drawn(level, alpha=255, background=(0, 0, 0, 0)):
    """An RGBA canvas 20x20 with a 4 pixel wide stroke of one grey level."""
    image = Image.new("RGBA", (20, 20), background)
    image.paste((level, level, level, alpha), (8, 2, 12, 18))
    return image


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_formats_give_the_same_gray(picture, kind, mode):
    result = gray(encoded(picture.convert(mode), kind))
    assert result.dtype == np.uint8
    assert np.abs(result.astype(int) - np.asarray(picture)).mean() < 4


@pytest.mark.parametrize("mode", ["1", "P", "LA", "RGBA"])
def test_png_modes_give_the_same_gray(picture, mode):
    assert np.array_equal(gray(encoded(picture.convert(mode))), np.asarray(picture))


def test_a_jpeg_of_very_many_scans_is_refused(picture):
    once = encoded(picture, "JPEG", progressive=True)
    scan = once[once.rindex(b"\xff\xda") : -2]
    assert gray(once[:-2] + scan * 20 + once[-2:]).shape == (20, 30)
    with pytest.raises(DataError, match="scans"):
        gray(once[:-2] + scan * 100 + once[-2:])


def test_a_bmp_of_runs_is_refused():
    head = struct.pack("<IiiHHIIiiII", 40, 1_000_000, 1, 1, 8, 1, 0, 0, 0, 256, 256)
    runs = b"\1\5\0\0"  # one pixel, end of line
    start = 14 + len(head) + 1024
    bmp = b"BM" + struct.pack("<IHHI", start + 4, 0, 0, start) + head + bytes(1024) + runs
    with pytest.raises(DataError, match="compressed"):
        gray(bmp)


def test_cmyk_jpeg_is_read(picture):
    result = gray(encoded(picture.convert("CMYK"), "JPEG"))
    assert result[2, 2] < 20
    assert result[18, 28] > 235


def test_sixteen_bits_become_eight():
    wide = np.array([[0, 257 * 100], [65535, 257 * 7]], np.uint16)
    assert gray(encoded(Image.fromarray(wide))).tolist() == [[0, 100], [255, 7]]


def test_orientation_is_applied(picture):
    exif = Image.Exif()
    exif[0x0112] = 6  # stored rotated: turn a quarter clockwise to see it upright
    result = gray(encoded(picture, "JPEG", exif=exif, quality=95))
    assert result.shape == (30, 20)
    assert result[2, 17] < 20
    assert result[2, 2] > 235


@pytest.mark.parametrize(("ink", "paper"), [(0, 255), (60, 255), (255, 0)])
def test_ink_on_transparent_stands_out(ink, paper):
    result = gray(encoded(drawn(ink)))
    assert result[10, 10] == ink
    assert result[0, 0] == paper


def test_translucent_ink_stands_out():
    result = gray(encoded(drawn(0, alpha=100)))
    assert int(result[0, 0]) - int(result[10, 10]) > 80


def test_page_with_transparent_corners_stays_a_page():
    image = drawn(0, background=(250, 250, 250, 255))
    image.putpixel((0, 0), (0, 0, 0, 0))
    assert gray(encoded(image))[0, 0] == 250


def test_fully_transparent_is_blank():
    assert np.unique(gray(encoded(Image.new("RGBA", (9, 9))))).size == 1


def test_palette_transparency_becomes_paper():
    image = Image.new("P", (10, 10), 0)
    image.putpalette([0, 0, 0, 10, 10, 10])
    image.paste(1, (4, 1, 6, 9))
    result = gray(encoded(image, transparency=0))
    assert result[5, 5] == 10
    assert result[0, 0] == 255


@pytest.mark.parametrize("kind", FORMATS)
def test_too_many_pixels_are_refused(picture, kind):
    with pytest.raises(DataError, match="30x20 = 600 pixels, more than the 599"):
        gray(encoded(picture, kind), max_pixels=599)


def test_decompression_bomb_is_refused_by_its_header():
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n"
    for kind, body in ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 1000)), (b"IEND", b"")):
        bomb += struct.pack(">I", len(body)) + kind + body
        bomb += struct.pack(">I", zlib.crc32(kind + body))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(DataError, match="60000"):
            gray(bomb)
    assert not caught


@pytest.mark.parametrize("lossless", [False, True])
def test_webp_bomb_is_refused_by_its_header(picture, lossless):
    data = bytearray(encoded(picture, "WEBP", lossless=lossless))
    if lossless:
        data[21:25] = (16383 << 14 | 16383).to_bytes(4, "little")
    else:
        data[26:30] = struct.pack("<HH", 16383, 16383)
    with pytest.raises(DataError, match=r"1638[34]x1638[34]"):
        gray(bytes(data))


def test_too_many_bytes_are_refused(picture):
    with pytest.raises(DataError, match="more than the 50 allowed"):
        gray(encoded(picture), max_bytes=50)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.8, 0.95])
def test_truncated_file_is_refused(kind, share):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), kind)
    with pytest.raises(DataError, match="damaged or truncated"):
        gray(data[: int(len(data) * share)])


@pytest.mark.parametrize("kind", FORMATS)
def test_damaged_bytes_raise_nothing_else(picture, kind):
    data = encoded(picture, kind)
    random = np.random.default_rng(1)
    for _ in range(300):
        damaged = bytearray(data)
        for place in random.integers(0, len(data), 3):
            damaged[place] = random.integers(0, 256)
        try:
            result = gray(bytes(damaged))
        except DataError:
            continue
        assert result.dtype == np.uint8
        assert result.ndim == 2


@pytest.mark.parametrize(
    "data",
    [
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"<!doctype html><img>",
        b"GIF89a" + b"\0" * 20,
        b"%PDF-1.7",
        b"\x89PN",
    ],
)
def test_other_formats_are_refused(data):
    with pytest.raises(DataError, match="not an image of a known format"):
        gray(data)


def test_empty_file_is_refused():
    with pytest.raises(DataError, match="0 bytes"):
        gray(b"")


def test_markup_behind_a_png_signature_is_refused():
    with pytest.raises(DataError, match="damaged"):
        gray(b"\x89PNG\r\n\x1a\n<svg onload='alert(1)'/>")
