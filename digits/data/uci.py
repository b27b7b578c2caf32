"""The 1,797 real scans that come inside scikit-learn: real digits without a download.

E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning
Repository (1998), its test part: 8x8 scans of 13 writers, intensities 0..16.
"""

from __future__ import annotations

import gzip
import importlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from digits.contract.preprocessing import Preprocessing
from digits.data.raw import Raw
from digits.data.source import Source
from digits.data.split import Parts, by_share
from digits.data.types import Digits, Split
from digits.errors import DataError, MissingExtraError

if TYPE_CHECKING:
    from digits.data.versions import Versions

SCANS = 1797
SIDE = 8
# The ink of these scans reaches their edge; this much paper around it settles the polarity.
MARGIN = 2
DESCRIPTION = "1,797 scans bundled with scikit-learn (UCI optical digits), 8x8 to 28x28"


@dataclass(frozen=True)
class Scans:
    """The scans as published, with the same split that :meth:`Uci.read` makes.

    Attributes:
        features: float64 ``[1797, 64]``, 8x8 intensities 0..16 row by row.
        labels: int64 ``[1797]``.
        parts: indices of train, validation and test.
    """

    features: NDArray[np.float64]
    labels: NDArray[np.int64]
    parts: Parts


class Uci(Source):
    """scikit-learn's bundled digits, brought to 28x28 and split by class.

    Args:
        validation_fraction: share of the scans for validation; 0 for none.
        test_fraction: share of the scans for the test at the end, above 0.
        split_seed: chooses which scan goes where.
        version, store: see :class:`Source`.
    """

    name = "uci"
    settings = ("validation_fraction", "test_fraction", "split_seed")

    def __init__(
        self,
        *,
        validation_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.1,
        test_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.25,
        split_seed: Annotated[int, Field(ge=0, lt=2**32)] = 0,
        version: str | int | None = None,
        store: Versions | None = None,
    ) -> None:
        super().__init__(version=version, store=store)
        self.validation_fraction = validation_fraction
        self.test_fraction = test_fraction
        self.split_seed = split_seed

    def read(self) -> Digits:
        """Read, enlarge, split.

        Raises:
            MissingExtraError: scikit-learn is not installed.
            DataError: the bundled file is not the one expected, or the shares do not fit.
        """
        return self.preprocess(self.raw())

    def raw(self) -> Raw:
        """Return the scans as published: uint8 ``[1797, 8, 8]``, intensities 0..16.

        Raises:
            MissingExtraError: scikit-learn is not installed.
            DataError: the bundled file is not the one expected.
        """
        features, labels = _read()
        images = features.reshape(-1, SIDE, SIDE).astype(np.uint8)
        return Raw(self.name, DESCRIPTION, {"images": images, "labels": labels})

    def preprocess(self, raw: Raw) -> Digits:
        """Enlarge and split the scans.

        Raises:
            DataError: these are not such scans, or the shares do not fit.
        """
        raw.require(images=(None, SIDE, SIDE), labels=(None,))
        pages = np.rint(raw.arrays["images"] * (255 / 16)).astype(np.uint8)
        pages = np.pad(pages, ((0, 0), (MARGIN, MARGIN), (MARGIN, MARGIN)))
        everything = Split(Preprocessing().many(pages), raw.arrays["labels"])
        parts = self._parts(everything.labels)
        return Digits(
            name=self.name,
            description=raw.description,
            train=everything.take(parts.train),
            validation=everything.take(parts.validation),
            test=everything.take(parts.test),
        )

    def load_scans(self) -> Scans:
        """Read the original 8x8 scans and the split, for baselines that work on them.

        Raises:
            MissingExtraError: scikit-learn is not installed.
            DataError: the bundled file is not the one expected, or the shares do not fit.
        """
        features, labels = _read()
        return Scans(features, labels, self._parts(labels))

    def _parts(self, labels: NDArray[np.int64]) -> Parts:
        return by_share(
            labels,
            validation_fraction=self.validation_fraction,
            test_fraction=self.test_fraction,
            seed=self.split_seed,
        )


def _read() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Read the csv where scikit-learn keeps it: importing its loader takes over a second."""
    package = importlib.util.find_spec("sklearn")
    if package is None or package.origin is None:
        raise MissingExtraError("train", "scikit-learn")
    path = Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz"
    if path.is_file():
        with gzip.open(path, "rt", encoding="ascii") as file:
            table = np.loadtxt(file, delimiter=",", dtype=np.float64)
        features, labels = table[:, :-1], table[:, -1].astype(np.int64)
    else:
        datasets = importlib.import_module("sklearn.datasets")
        features, labels = datasets.load_digits(return_X_y=True)
        labels = labels.astype(np.int64)
    if features.shape != (SCANS, SIDE * SIDE) or features.min() < 0 or features.max() > 16:
        raise DataError(f"scikit-learn's digits are not the expected 1,797 8x8 scans ({path})")
    return features, labels
