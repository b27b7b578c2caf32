"""Evidently's classification report, for whoever knows it: one HTML page beside our own."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digits.data.split import sample
from digits.data.types import CLASSES
from digits.errors import MissingExtraError

ROWS = 5000  # it draws curves by row: more make the page slow, and no more telling
TRUTH, ANSWER = "truth", "answer"


def require(*, without: str) -> None:
    """Raise MissingExtraError when Evidently is not installed; ``without`` switches it off."""
    if importlib.util.find_spec("evidently") is None:
        raise MissingExtraError("monitor", "evidently", without=without)


def missing_classes(labels: NDArray[np.int64]) -> list[int]:
    """Return the digits that do not occur; Evidently reports on data that has all of them."""
    return sorted(set(range(CLASSES)) - set(np.unique(labels).tolist()))


def write_classification_report(
    labels: NDArray[np.int64], probabilities: NDArray[np.float64], file: Path, *, seed: int
) -> Path:
    """Write Evidently's page on at most 5,000 of N digits, every class in proportion.

    Args:
        labels: int64 ``[N]``, each of the ten digits among them.
        probabilities: ``[N, 10]``.
        file: the HTML to write; some 4 MB, it needs nothing beside it.
        seed: chooses the digits.
    """
    with without_noise():
        # Four seconds and a web framework: imported only where a report is written.
        import pandas as pd
        from evidently import DataDefinition, Dataset, MulticlassClassification, Report
        from evidently.presets import ClassificationPreset

        chosen = sample(labels, ROWS, seed=seed, key="classification_report")
        names = [str(digit) for digit in range(CLASSES)]
        frame = pd.DataFrame(probabilities[chosen], columns=names)
        frame[TRUTH] = labels[chosen].astype(str)
        frame[ANSWER] = probabilities[chosen].argmax(1).astype(str)
        roles = MulticlassClassification(
            target=TRUTH, prediction_labels=ANSWER, prediction_probas=names
        )
        data = Dataset.from_pandas(frame, data_definition=DataDefinition(classification=[roles]))
        Report([ClassificationPreset()]).run(data, None).save_html(str(file))
    return file


@contextmanager
def without_noise() -> Iterator[None]:
    """Silence what Evidently's own imports and sums warn of, each by name."""
    with warnings.catch_warnings():
        # Its legacy tests still import numpy's old name for its core.
        warnings.filterwarnings("ignore", message=r"numpy\.core is deprecated")
        # Its web interface, which is imported along, uses what litestar is about to rename.
        warnings.filterwarnings("ignore", message=".*[Dd]eprecated.*litestar.*")
        # scikit-learn, of a digit that is never answered.
        warnings.filterwarnings("ignore", message=".*is ill-defined.*")
        # numpy, of the correlations of a column that never changes in the window.
        warnings.filterwarnings("ignore", message="invalid value encountered in divide")
        yield
