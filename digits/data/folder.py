"""A user's own pictures, sorted into one folder per class."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from rich.console import Console
from rich.progress import track

from digits.contract.image import decode
from digits.contract.preprocessing import Preprocessing
from digits.data.raw import Raw, packed, unpacked
from digits.data.source import Source
from digits.data.split import by_share
from digits.data.types import CLASSES, Digits, Split
from digits.errors import DataError

if TYPE_CHECKING:
    from digits.data.versions import Versions

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
# Above any phone's camera, below what would fill the memory.
MAX_PIXELS = 120_000_000
MAX_BYTES = 100 * 2**20
# Each may hold a photo of several hundred megabytes.
MAX_THREADS = 8
# What Windows leaves in folders; macOS and Linux start such names with a dot.
_LITTER = {"thumbs.db", "desktop.ini"}
Item = TypeVar("Item")


class Folder(Source):
    """``root/<class>/*.png|jpg|jpeg|webp|bmp``: any size, either polarity, scans or photos.

    Args:
        root: the folder with one folder per class, named 0 to 9; None where a version is named.
        validation_fraction: share of the images for validation; 0 for none.
        test_fraction: share of the images for the test at the end, above 0.
        split_seed: chooses which image goes where.
        version, store: see :class:`Source`.

    Raises:
        ValueError: neither a folder nor a version.
    """

    name = "folder"
    settings = ("validation_fraction", "test_fraction", "split_seed")

    def __init__(
        self,
        root: str | None = None,
        *,
        validation_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.1,
        test_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2,
        split_seed: Annotated[int, Field(ge=0, lt=2**32)] = 0,
        version: str | int | None = None,
        store: Versions | None = None,
    ) -> None:
        super().__init__(version=version, store=store)
        if root is None and version is None:
            raise ValueError("root must be given: the folder with one folder per class, 0 to 9")
        self.root = None if root is None else Path(root).expanduser()
        self.validation_fraction = validation_fraction
        self.test_fraction = test_fraction
        self.split_seed = split_seed

    def read(self) -> Digits:
        """Decode every image, bring it to 28x28, and split by class.

        Classes and file names are taken in sorted order, so one folder gives one data set. The
        files are read one at a time: photos may be many and large.

        Raises:
            DataError: a folder that is not a class, an unreadable image, too few of a class; the
                message names the file.
        """
        root = self._root()
        files = _list(root)
        labels = np.array([label for label, _ in files], dtype=np.int64)
        images = _prepare_all([path for _, path in files], lambda path: (path, _content(path)))
        return self._split(images, labels, root.name)

    def raw(self) -> Raw:
        """Return the bytes of every image file, in the order of :meth:`read`.

        Raises:
            DataError: a folder that is not a class, a file that cannot be read.
        """
        root = self._root()
        files = _list(root)
        contents = {path.relative_to(root).as_posix(): _content(path) for _, path in files}
        labels = np.array([label for label, _ in files], dtype=np.int64)
        return Raw(self.name, root.name, packed(contents, labels))

    def preprocess(self, raw: Raw) -> Digits:
        """Decode the images, bring them to 28x28, and split by class.

        Raises:
            DataError: this is not a folder's raw data, an unreadable image, too few of a class.
        """
        raw.require(files=(None,), sizes=(None,), names=(None,), labels=(None,))
        files = unpacked(raw.arrays)
        images = _prepare_all(list(files.items()), lambda item: item)
        return self._split(images, raw.arrays["labels"], raw.description)

    def _root(self) -> Path:
        if self.root is None:
            raise DataError("data.root: name the folder with one folder per class, 0 to 9")
        return self.root

    def _split(self, images: NDArray[np.uint8], labels: NDArray[np.int64], folder: str) -> Digits:
        everything = Split(images, labels)
        parts = by_share(
            labels,
            validation_fraction=self.validation_fraction,
            test_fraction=self.test_fraction,
            seed=self.split_seed,
        )
        return Digits(
            name=self.name,
            description=f"{len(labels):,} images of the folder {folder}",
            train=everything.take(parts.train),
            validation=everything.take(parts.validation),
            test=everything.take(parts.test),
        )


def _list(root: Path) -> list[tuple[int, Path]]:
    """List (label, file) of every image, sorted; nothing below the class folders is followed."""
    if not root.is_dir():
        raise DataError(f"data.root: {root} is not a folder")
    files: list[tuple[int, Path]] = []
    for folder in _entries(root):
        if not folder.is_dir():
            if folder.suffix.lower() in SUFFIXES:
                raise DataError(f"{folder} has no class: move it to {root}/<0 to 9>/")
            continue
        if folder.name not in {str(label) for label in range(CLASSES)}:
            raise DataError(f"{folder} is not the name of a class: name it 0 to 9, or move it out")
        images = _entries(folder)
        if not images:
            raise DataError(f"{folder} has no images: add some ({' '.join(SUFFIXES)}) or remove it")
        for path in images:
            if not path.is_file():
                raise DataError(f"{path} is not a file: a class folder holds only images")
            if path.suffix.lower() not in SUFFIXES:
                raise DataError(f"{path} is not an image of a known kind ({' '.join(SUFFIXES)})")
        files += [(int(folder.name), path) for path in images]
    if not files:
        raise DataError(f"data.root: {root} has no class folders; it needs {root}/<0 to 9>/*.png")
    return files


def _entries(folder: Path) -> list[Path]:
    try:
        paths = sorted(folder.iterdir(), key=lambda path: path.name)
    except OSError as error:
        raise DataError(f"{folder} cannot be listed ({error.strerror or error})") from error
    return [
        path for path in paths if not path.name.startswith(".") and path.name.lower() not in _LITTER
    ]


def _prepare_all(
    items: Sequence[Item], content_of: Callable[[Item], tuple[Path | str, bytes]]
) -> NDArray[np.uint8]:
    """Prepare in threads (Pillow decodes outside Python's lock), in order, with a progress line."""
    console = Console(stderr=True)
    images = np.empty((len(items), 28, 28), np.uint8)
    with ThreadPoolExecutor(max_workers=min(os.cpu_count() or 1, MAX_THREADS)) as pool:
        done = track(
            pool.map(lambda item: prepared(*content_of(item)), items),
            description="reading images",
            total=len(items),
            console=console,
            disable=not console.is_terminal,
        )
        try:
            for index, image in enumerate(done):
                images[index] = image
        except BaseException:
            # Ctrl-C too: thousands of images may still be queued.
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return images


def read_image(path: Path, preprocess: Preprocessing | None = None) -> NDArray[np.uint8]:
    """Read a picture of a digit from a file, and bring it to uint8 ``[28, 28]``.

    Args:
        path: a PNG, JPEG, WebP or BMP file.
        preprocess: that of a trained model; the current one unless given.

    Raises:
        DataError: it cannot be read, or is no such picture; the message names the file.
    """
    return prepared(path, _content(path), preprocess)


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error})") from error


def prepared(
    name: Path | str, data: bytes, preprocess: Preprocessing | None = None
) -> NDArray[np.uint8]:
    """Return the picture in a file's bytes as uint8 ``[28, 28]``.

    Args:
        name: what an error message begins with.
        data: the content of a PNG, JPEG, WebP or BMP file.
        preprocess: that of a trained model; the current one unless given.

    Raises:
        DataError: not a picture, too large or damaged; begins with ``name``.
    """
    preprocess = preprocess or Preprocessing()
    try:
        return preprocess(decode(data, max_pixels=MAX_PIXELS, max_bytes=MAX_BYTES))
    except DataError as error:
        raise DataError(f"{name}: {error}") from error
