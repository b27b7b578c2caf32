"""MNIST: four IDX files from a folder, else from the public mirrors.

Y. LeCun, C. Cortes and C. Burges, "The MNIST database of handwritten digits" (1998).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from digits.data import idx
from digits.data.labelled import read as read_labelled
from digits.data.raw import Raw
from digits.data.source import Source
from digits.data.split import sample, stratified
from digits.data.types import CLASSES, Digits, Split
from digits.errors import DataError

if TYPE_CHECKING:
    from digits.data.versions import Versions

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)


@dataclass(frozen=True)
class IdxFile:
    """One of the four files: its published name without ``.gz``, sha256 of its plain content."""

    name: str
    sha256: str

    @property
    def names(self) -> tuple[str, ...]:
        """What it may be called in a user's folder; some copies have a dot before ``idx``."""
        dotted = self.name.replace("-idx", ".idx")
        return self.name, f"{self.name}.gz", dotted, f"{dotted}.gz"


TRAIN_IMAGES = IdxFile(
    "train-images-idx3-ubyte",
    "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
)
TRAIN_LABELS = IdxFile(
    "train-labels-idx1-ubyte",
    "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
)
TEST_IMAGES = IdxFile(
    "t10k-images-idx3-ubyte",
    "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
)
TEST_LABELS = IdxFile(
    "t10k-labels-idx1-ubyte",
    "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
)
FILES = (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)


class Mnist(Source):
    """MNIST with its official test set apart and a validation part cut from train.

    Args:
        root: folder with the four IDX files, plain or gzipped; None downloads them.
        cache: folder that downloads are kept in.
        validation_size: images of the 60,000 to validate on, in proportion of their classes;
            0 for none.
        train_size: at most so many of the others to train on, in proportion of their classes;
            None for all. For one seed a smaller part is nearly all in a larger one.
        labelled: file of ``task=active``: the images to train on are those that it has labelled
            (``train_size``: so many of the first); None: by ``split_seed``.
        unlabelled: whether what ``train_size`` leaves out is there too, without its labels.
        split_seed: chooses which images those are.
        version, store: see :class:`Source`.
    """

    name = "mnist"
    settings = ("validation_size", "train_size", "labelled", "unlabelled", "split_seed")

    def __init__(
        self,
        root: str | None = None,
        *,
        cache: str,
        validation_size: Annotated[int, Field(ge=0, lt=60_000)] = 5000,
        train_size: Annotated[int | None, Field(ge=CLASSES)] = None,
        labelled: str | None = None,
        unlabelled: bool = False,
        split_seed: Annotated[int, Field(ge=0, lt=2**32)] = 0,
        version: str | int | None = None,
        store: Versions | None = None,
    ) -> None:
        super().__init__(version=version, store=store)
        self.root = None if root is None else Path(root).expanduser()
        self.cache = Path(cache).expanduser()
        self.validation_size = validation_size
        self.train_size = train_size
        self.labelled = labelled
        self.unlabelled = unlabelled
        self.split_seed = split_seed

    def read(self) -> Digits:
        """Read the four files, check each content against its published sha256, and split.

        Raises:
            DataError: a file of ``root`` is missing, damaged or of other content; the validation
                part does not fit.
            DownloadError: no mirror delivered a file.
        """
        return self.preprocess(self.raw())

    def raw(self) -> Raw:
        """Return the content of the four files, each checked against its published sha256.

        Raises:
            DataError: a file of ``root`` is missing, damaged or of other content.
            DownloadError: no mirror delivered a file.
        """
        contents = self._local() if self.root is not None else self._cached()
        images, labels, test_images, test_labels = (
            idx.parse(content, file.name) for content, file in zip(contents, FILES, strict=True)
        )
        return Raw(
            name=self.name,
            description="MNIST: official test set, validation cut from the training set",
            arrays={
                "train_images": images,
                "train_labels": labels.astype(np.int64),
                "test_images": test_images,
                "test_labels": test_labels.astype(np.int64),
            },
        )

    def preprocess(self, raw: Raw) -> Digits:
        """Cut the validation part out of the published training part.

        Raises:
            DataError: these are not such images, or the validation part does not fit.
        """
        raw.require(
            train_images=(None, 28, 28),
            train_labels=(None,),
            test_images=(None, 28, 28),
            test_labels=(None,),
        )
        everything = Split(raw.arrays["train_images"], raw.arrays["train_labels"])
        parts = stratified(
            everything.labels,
            validation=self.validation_size,
            test=0,
            seed=self.split_seed,
            keys=("data.validation_size",),
        )
        whole = Digits(
            name=self.name,
            description=raw.description,
            train=everything.take(parts.train),
            validation=everything.take(parts.validation),
            test=Split(raw.arrays["test_images"], raw.arrays["test_labels"]),
        )
        chosen = self._chosen(whole)
        if chosen is None:
            return whole
        part = replace(whole, train=whole.train.take(chosen))
        if not self.unlabelled:
            return part
        rest = np.setdiff1d(np.arange(len(whole.train)), chosen)
        return replace(part, unlabelled=whole.train.images[rest])

    def _chosen(self, whole: Digits) -> NDArray[np.intp] | None:
        """Return places in the training split of what is trained on; None for all."""
        if self.labelled is not None:
            file = Path(self.labelled).expanduser()
            return read_labelled(file, pool=whole.digest)[: self.train_size]
        if self.train_size is None:
            return None
        key = "data.train_size"
        return sample(whole.train.labels, self.train_size, seed=self.split_seed, key=key)

    def _local(self) -> list[bytes]:
        assert self.root is not None
        if not self.root.is_dir():
            raise DataError(f"data.root: {self.root} is not a folder")
        found = [
            next((path for name in file.names if (path := self.root / name).exists()), None)
            for file in FILES
        ]
        missing = [file.name for file, path in zip(FILES, found, strict=True) if path is None]
        if missing:
            raise DataError(
                f"data.root: {self.root} lacks {', '.join(missing)} (each plain or with .gz); "
                f"without data.root they are downloaded"
            )
        return [
            _verified(path, file)
            for file, path in zip(FILES, found, strict=True)
            if path is not None
        ]

    def _cached(self) -> list[bytes]:
        contents = []
        for file in FILES:
            path = self.cache / f"{file.name}.gz"
            try:
                contents.append(_verified(path, file))
            except DataError:
                # Not there yet, or damaged; the HTTP client is imported only when it is needed.
                from digits.data.download import fetch

                urls = [f"{mirror}{file.name}.gz" for mirror in MIRRORS]
                contents.append(_verified(fetch(path.name, urls, file.sha256, self.cache), file))
        return contents


def _verified(path: Path, file: IdxFile) -> bytes:
    content = idx.content(path)
    digest = hashlib.sha256(content).hexdigest()
    if digest != file.sha256:
        raise DataError(
            f"{path} is not MNIST's {file.name}: its content has sha256 {digest}, expected "
            f"{file.sha256}. Replace it, or leave data.root out to download it"
        )
    return content
