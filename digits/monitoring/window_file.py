"""A window out of a file: arrays, MNIST's format, or a folder of pictures."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digits.contract.preprocessing import Preprocessing
from digits.data import idx
from digits.data.folder import SUFFIXES, read_image
from digits.data.types import CLASSES, Split
from digits.errors import DataError
from digits.monitoring.window import UNKNOWN, Window


def of_file(path: Path, preprocess: Preprocessing) -> Window:
    """Read images, and labels where there are some.

    Args:
        path: ``.npz`` with ``images`` uint8 ``[N, 28, 28]`` and perhaps ``labels`` ``[N]``; a file
            of images in MNIST's IDX format, gzipped or not; or a folder of pictures, whose folders
            named 0 to 9 are labels.
        preprocess: of the model, for pictures.

    Raises:
        DataError: it is missing, damaged, or of another kind.
    """
    if not path.exists():
        raise DataError(f"file: {path} is missing")
    if path.is_dir():
        images, labels = _folder(path, preprocess)
    elif path.suffix == ".npz":
        images, labels = _arrays(path)
    else:
        images = idx.parse(idx.content(path), str(path))
        labels = np.full(len(images), UNKNOWN, np.int64)
    if images.dtype != np.uint8 or images.shape[1:] != (28, 28):
        raise DataError(
            f"file: {path} holds {images.dtype} {list(images.shape)}; images are uint8 [N, 28, 28]"
        )
    return Window(f"{len(images):,} images of {path.name}", images, None, labels)


def _arrays(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    try:
        with np.load(path, allow_pickle=False) as stored:
            images = stored["images"]
            labels = stored["labels"].astype(np.int64) if "labels" in stored.files else None
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(f"file: {path} cannot be read: {error}") from error
    if labels is None:
        return images, np.full(len(images), UNKNOWN, np.int64)
    return images, Split(images, labels).labels


def _folder(path: Path, preprocess: Preprocessing) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    files = sorted(
        file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file()
    )
    if not files:
        raise DataError(f"file: {path} holds no pictures ({' '.join(SUFFIXES)})")
    names = {str(digit) for digit in range(CLASSES)}
    labels = [int(file.parent.name) if file.parent.name in names else UNKNOWN for file in files]
    images = np.stack([read_image(file, preprocess) for file in files])
    return images, np.array(labels, np.int64)
