"""Data as a source has it, before anything is done to it: arrays by name, with an identity."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits.errors import DataError

#: file names, one after another, as a raw array has them
SEPARATOR = b"\0"


@dataclass(frozen=True)
class Raw:
    """What a source starts from.

    Attributes:
        name: of the source.
        description: one line on what it is.
        arrays: pictures and labels as published or found: ``images`` uint8 ``[N, H, W]`` and
            ``labels`` int64 ``[N]``, apart for each published part (``train_images``, …); or, of
            picture files of any kind, ``files`` uint8 (their bytes, one after another), ``sizes``
            int64 ``[N]``, ``names`` uint8 and ``labels`` int64 ``[N]``.
    """

    name: str
    description: str
    arrays: Mapping[str, NDArray[Any]]

    @cached_property
    def digest(self) -> str:
        """sha256 (hex) over every array: its name, type, shape and content."""
        content = hashlib.sha256(b"raw")
        for name, array in sorted(self.arrays.items()):
            content.update(f"\0{name}\0{array.dtype.str}\0{array.shape}\0".encode())
            content.update(np.ascontiguousarray(array).data)
        return content.hexdigest()

    def require(self, **shapes: tuple[int | None, ...]) -> None:
        """Hold the arrays against what a source can work with; None is any length.

        Raises:
            DataError: one is missing, of another shape, or there are others.
        """
        fits = set(shapes) == set(self.arrays) and all(
            len(self.arrays[name].shape) == len(shape)
            and all(
                wanted in (None, length)
                for wanted, length in zip(shape, self.arrays[name].shape, strict=True)
            )
            for name, shape in shapes.items()
        )
        if not fits:
            found = {name: array.shape for name, array in self.arrays.items()}
            raise DataError(
                f"data version {self.digest} holds {_told(found)}; raw data of {self.name} is "
                f"{_told(shapes)}"
            )


def _told(shapes: Mapping[str, tuple[int | None, ...]]) -> str:
    return ", ".join(
        f"{name} [{', '.join('N' if length is None else str(length) for length in shape)}]"
        for name, shape in sorted(shapes.items())
    )


def packed(files: Mapping[str, bytes], labels: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """Return the arrays of :class:`Raw` for picture files, name -> content, in their order."""
    return {
        "files": np.frombuffer(b"".join(files.values()), np.uint8),
        "sizes": np.array([len(content) for content in files.values()], np.int64),
        "names": np.frombuffer(SEPARATOR.join(map(_encoded, files)), np.uint8),
        "labels": labels,
    }


def unpacked(arrays: Mapping[str, NDArray[Any]]) -> dict[str, bytes]:
    """Return the picture files that :func:`packed` has made arrays of.

    Raises:
        DataError: the arrays do not fit each other.
    """
    names = [_decoded(name) for name in arrays["names"].tobytes().split(SEPARATOR)]
    ends = np.cumsum(arrays["sizes"])
    content = arrays["files"].tobytes()
    fits = len(names) == len(set(names)) == len(ends) == len(arrays["labels"])
    if not fits or arrays["sizes"].min(initial=0) < 0 or ends[-1] != len(content):
        raise DataError("the names, sizes and contents of its files do not fit each other")
    starts = ends - arrays["sizes"]
    return {name: content[start:end] for name, start, end in zip(names, starts, ends, strict=True)}


def _encoded(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _decoded(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
