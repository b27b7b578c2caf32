"""Images that several tests look at."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def lopsided_digit() -> NDArray[np.uint8]:
    """A stroke figure of several grey levels without any symmetry that could hide a wrong sign."""
    image = np.zeros((28, 28), np.uint8)
    image[5:23, 12:16] = 255
    image[5:8, 12:21] = 200
    image[18:20, 7:16] = 120
    return image
