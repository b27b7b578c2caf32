"""MNIST's file format: IDX, plain or gzipped."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits.errors import DataError

# More than any of MNIST's files holds (47 MB) and little enough to unpack anywhere.
MAX_BYTES = 256 * 2**20

_GZIP = b"\x1f\x8b"
# Third byte of the magic number: the element type, big-endian.
_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def content(path: Path, max_bytes: int = MAX_BYTES) -> bytes:
    """Return a file's bytes, unpacked if they are gzip (told by content, not by name).

    Raises:
        DataError: missing, unreadable, damaged gzip, or more than ``max_bytes`` once unpacked.
    """
    try:
        with path.open("rb") as file:
            packed = file.peek(2)[:2] == _GZIP
            source = gzip.GzipFile(fileobj=file) if packed else file
            data = source.read(max_bytes + 1)
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing") from error
    except EOFError as error:
        raise DataError(f"{path} is truncated: its gzip stream ends early") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} is a damaged gzip file ({error})") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error})") from error
    if len(data) > max_bytes:
        raise DataError(f"{path} unpacks to more than the {max_bytes:,} bytes allowed")
    return data


def parse(data: bytes, name: str) -> NDArray[Any]:
    """Read IDX content (big-endian: 0, 0, type, rank, one uint32 per axis, then the elements).

    Args:
        data: the whole uncompressed content.
        name: what to call it in errors.

    Raises:
        DataError: wrong magic number, truncated, or bytes left over.
    """
    if len(data) < 4:
        raise DataError(f"{name} is truncated: {len(data)} bytes, an IDX header has at least 8")
    if data[:2] != b"\0\0" or data[2] not in _TYPES or data[3] == 0:
        raise DataError(f"{name} is not an IDX file: it starts with 0x{data[:4].hex()}")
    header = 4 + 4 * data[3]
    if len(data) < header:
        raise DataError(f"{name} is truncated: it ends within its IDX header")
    kind = np.dtype(_TYPES[data[2]])
    shape = [int(axis) for axis in np.frombuffer(data, ">u4", data[3], offset=4)]
    expected = header + kind.itemsize * math.prod(shape)
    if len(data) != expected:
        fault = "is truncated" if len(data) < expected else "has trailing bytes"
        raise DataError(
            f"{name} {fault}: {len(data):,} bytes, but its header {shape} asks for {expected:,}"
        )
    values = np.frombuffer(data, kind, offset=header).reshape(shape)
    return values.astype(kind.newbyteorder("="), copy=True)
