"""The one way from any picture of a digit to the 28x28 pixels a network sees.

It follows the published MNIST protocol (LeCun et al., "Gradient-based learning applied to
document recognition", 1998, section III-A): the ink is scaled into a 20x20 box keeping its aspect
ratio, with antialiasing, and placed in 28x28 so that its centre of mass is at the centre. Pages
differ from that data set's scans, so polarity, paper and contrast are settled first.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from digits.contract.paper import lift_ink
from digits.errors import DataError


@dataclass(frozen=True)
class Preprocessing:
    """The protocol as data: it travels in a model bundle and is applied by calling it.

    A field added later must default to what older bundles did, because a bundle written before
    it existed does not carry it.

    Attributes:
        size: side of the result, in pixels.
        box: side of the square that the ink is fitted in, in pixels.
        ink_threshold: share of the strongest ink below which a pixel does not count when the
            extent of the ink is looked for.
        minimum_contrast: grey levels (0..255) that ink must differ from the paper; a page with
            less is blank.
        noise_factor: paper noise below this many standard deviations is removed from the ink.
        working_size: a larger image is first averaged down to at most this many pixels a side.
        mean: of MNIST's training pixels divided by 255 (the published value).
        std: standard deviation of the same (the published value). Networks see
            ``(pixel / 255 - mean) / std``; this class returns the pixels before that.
    """

    size: int = 28
    box: int = 20
    ink_threshold: float = 0.1
    minimum_contrast: int = 24
    noise_factor: float = 4.0
    working_size: int = 256
    mean: float = 0.1307
    std: float = 0.3081

    def __post_init__(self) -> None:
        for field in fields(self):
            _check_type(field.name, getattr(self, field.name), type(field.default))
        _require(1 <= self.box <= self.size <= 1024, "needs 1 <= box <= size <= 1024")
        _require(0 < self.ink_threshold < 1, "ink_threshold must lie between 0 and 1")
        _require(1 <= self.minimum_contrast <= 255, "minimum_contrast must lie in 1..255")
        _require(self.noise_factor >= 0, "noise_factor must not be negative")
        _require(self.working_size >= self.size, "working_size must be at least size")
        _require(self.std > 0, "std must be positive")

    def to_dict(self) -> dict[str, int | float]:
        """Return the fields as plain numbers, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Rebuild what :meth:`to_dict` wrote; a missing field takes its default.

        Raises:
            DataError: an unknown field, a wrong type or a value out of range.
        """
        if not isinstance(values, Mapping):
            raise DataError(f"preprocessing must be a mapping, not {type(values).__name__}")
        known = [field.name for field in fields(cls)]
        unknown = sorted(str(key) for key in values if key not in known)
        if unknown:
            raise DataError(
                f"preprocessing has unknown fields {', '.join(unknown)} (known: "
                f"{', '.join(known)}); was it written by a newer version?"
            )
        return cls(**values)

    def __call__(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Bring one grey image uint8 ``[H, W]`` to uint8 ``[size, size]``, ink high on 0.

        Either polarity; the paper is what the border mostly shows. A blank page gives zeros.

        Raises:
            DataError: not a two-dimensional uint8 image, or one without pixels.
        """
        if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 2:
            shape, kind = np.shape(image), getattr(image, "dtype", type(image).__name__)
            raise DataError(f"an image must be uint8 [height, width], not {kind} {list(shape)}")
        if not image.size:
            raise DataError(f"an image needs at least one pixel, this one is {list(image.shape)}")
        ink = lift_ink(self._shrink(image), self.minimum_contrast, self.noise_factor)
        if ink is None:
            return np.zeros((self.size, self.size), np.uint8)
        return self._place(*self._extent(ink))

    def many(self, images: Iterable[NDArray[np.uint8]]) -> NDArray[np.uint8]:
        """Apply it to each of N images, of any sizes: uint8 ``[N, size, size]``."""
        done = [self(image) for image in images]
        return np.stack(done) if done else np.zeros((0, self.size, self.size), np.uint8)

    def _shrink(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Average a large image down; the result still has several pixels per pixel of ours."""
        factor = math.ceil(max(image.shape) / self.working_size)
        if factor == 1:
            return image
        return np.asarray(Image.fromarray(np.ascontiguousarray(image)).reduce(factor))

    def _extent(self, ink: NDArray[np.float32]) -> tuple[NDArray[np.float32], slice, slice]:
        """Find the rows and columns that hold ink, leaving out specks of dust on a large page.

        Returns the ink with everything cleared that is more than a pixel of the result away from
        that rectangle, so that a stroke keeps its faint edge.
        """
        mask = ink > self.ink_threshold
        radius = max(ink.shape) // (2 * self.size)
        if radius:
            blur = ImageFilter.BoxBlur(radius)
            spread = np.asarray(Image.fromarray((ink * 255).astype(np.uint8)).filter(blur))
            mask &= spread > self.ink_threshold * spread.max()
        rows = np.flatnonzero(mask.any(axis=1))
        columns = np.flatnonzero(mask.any(axis=0))
        top, bottom = int(rows[0]), int(rows[-1]) + 1
        left, right = int(columns[0]), int(columns[-1]) + 1
        edge = math.ceil(max(bottom - top, right - left) / self.box)
        y, x = max(top - edge, 0), max(left - edge, 0)
        near = ink[y : bottom + edge, x : right + edge]
        return near, slice(top - y, bottom - y), slice(left - x, right - x)

    def _place(self, ink: NDArray[np.float32], rows: slice, columns: slice) -> NDArray[np.uint8]:
        """Scale and centre in one resampling, so that a finished image passes through unchanged."""
        height, width = rows.stop - rows.start, columns.stop - columns.start
        scale = max(height, width) / self.box
        mass = float(ink.sum())
        down = float(ink.sum(axis=1) @ (np.arange(ink.shape[0]) + 0.5)) / mass - rows.start
        across = float(ink.sum(axis=0) @ (np.arange(ink.shape[1]) + 0.5)) / mass - columns.start
        side = self.size * scale
        margin = math.ceil(side) + 1
        y = margin + rows.start - self._offset(down / scale, height / scale) * scale
        x = margin + columns.start - self._offset(across / scale, width / scale) * scale
        canvas = np.zeros((ink.shape[0] + 2 * margin, ink.shape[1] + 2 * margin), np.float32)
        canvas[margin:-margin, margin:-margin] = ink
        # Pillow's bicubic is antialiased when it shrinks and smooth when it enlarges.
        placed = np.asarray(
            Image.fromarray(canvas).resize(
                (self.size, self.size), Image.Resampling.BICUBIC, (x, y, x + side, y + side)
            )
        )
        # A thin stroke fades when it shrinks: stretch again. Overshoot below zero is cut.
        stretched = placed * (255 / max(float(placed.max()), 1e-6))
        return np.clip(np.rint(stretched), 0, 255).astype(np.uint8)

    def _offset(self, centre: float, extent: float) -> int:
        """Whole pixels before ink whose centre of mass is ``centre`` pixels into its extent.

        MNIST's own files have their centre of mass on pixel 14, counted from 0 (14.5 from the
        edge; measured: every image of both sets lies within half a pixel of it).
        """
        wanted = math.floor(self.size // 2 + 0.5 - centre + 0.5)
        return min(max(wanted, 0), max(self.size - math.ceil(extent), 0))


def _check_type(name: str, value: object, expected: type) -> None:
    allowed = (int, float) if expected is float else (int,)
    if isinstance(value, bool) or not isinstance(value, allowed) or not math.isfinite(value):
        raise DataError(f"preprocessing.{name} must be {expected.__name__}, not {value!r}")


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise DataError(f"preprocessing: {message}")
