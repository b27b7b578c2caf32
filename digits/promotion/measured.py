"""What the gate looks at: two models measured side by side on the same images."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from digits.data.types import Digits, Split
from digits.errors import DataError
from digits.evaluation.calibration import BINS
from digits.evaluation.classify import Classify
from digits.evaluation.corruptions import CORRUPTIONS
from digits.evaluation.metrics import CLASSES, Report, report
from digits.evaluation.robustness import corrupted

ROUNDS = 15
REPEATS = 40  # answers in one round
WARM_UP = 10
SANITY_IMAGES = 200

ACCURACY = "accuracy"
WORST_CLASS = "worst class"
CALIBRATION = "calibration error"
MEAN_CORRUPTION = "mean corruption"
WORST_CORRUPTION = "worst corruption"

Step = Callable[[str], None]


@dataclass(frozen=True)
class Candidate:
    """A model to be measured.

    Attributes:
        name: as it is called.
        classify: as it is served.
        temperature: its own; None: it is served as it was trained.
        onnx_bytes: size of what is served.
        sanity: (images uint8 ``[n, 28, 28]``, classes int64 ``[n]``) -> how much its explanations
            resemble those of a network that has learned nothing, 0..1 or NaN; None where its
            network cannot be rebuilt.
    """

    name: str
    classify: Classify
    temperature: float | None
    onnx_bytes: int
    sanity: Callable[[NDArray[np.uint8], NDArray[np.int64]], float] | None


@dataclass(frozen=True)
class Measured:
    """What was found of one model on N images.

    Attributes:
        name: the model.
        labels: int64 ``[N]``.
        logits: float32 ``[N, 10]``.
        temperature: what they are divided by when it is served.
        corrupted: corruption -> which answers are right, bool ``[N]``.
        round_seconds: median time of one answer in each round, ``[rounds]``.
        onnx_bytes: size of the graph.
        sanity: see :class:`Candidate`; None where it cannot be judged, NaN included.
    """

    name: str
    labels: NDArray[np.int64]
    logits: NDArray[np.float32]
    temperature: float
    corrupted: Mapping[str, NDArray[np.bool_]]
    round_seconds: NDArray[np.float64]
    onnx_bytes: int
    sanity: float | None

    @cached_property
    def probabilities(self) -> NDArray[np.float64]:
        """As they are served, float64 ``[N, 10]``."""
        return np.asarray(softmax(self.logits.astype(np.float64) / self.temperature, axis=1))

    @property
    def answers(self) -> NDArray[np.int64]:
        """The digit that is named for each image, int64 ``[N]``."""
        return self.logits.argmax(1)

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Which answers are right, bool ``[N]``."""
        return self.answers == self.labels

    @property
    def seconds(self) -> float:
        """Time of one answer: the median of the round that was disturbed least."""
        return float(self.round_seconds.min())

    @property
    def robustness(self) -> dict[str, float]:
        """Corruption -> accuracy."""
        return {name: float(right.mean()) for name, right in self.corrupted.items()}

    def report(self) -> Report:
        """Judge the logits as they are served."""
        return report(self.logits / np.float32(self.temperature), self.labels)

    def values(self) -> dict[str, float]:
        """Return the figures on the images as they are."""
        whole = np.ones((1, len(self.labels)), np.float32)
        return {name: float(value[0]) for name, value in self.figures(whole).items()}

    def figures(self, weights: NDArray[np.float32]) -> dict[str, NDArray[np.float64]]:
        """Return each figure for each row of image weights ``[B, N]`` (see ``paired``).

        All of them are sums over images, so one matrix product makes them all.
        """
        sums = (weights @ self._summands).astype(np.float64)
        total = weights.sum(1, dtype=np.float64)
        right, count, gaps, spoilt = np.split(sums, np.cumsum([CLASSES, CLASSES, BINS]), axis=1)
        with np.errstate(invalid="ignore"):
            recall = np.where(count > 0, right / count, np.inf)
        held = spoilt / total[:, np.newaxis]
        return {
            ACCURACY: right.sum(1) / total,
            WORST_CLASS: recall.min(1),
            CALIBRATION: np.abs(gaps).sum(1) / total,
            MEAN_CORRUPTION: held.mean(1),
            WORST_CORRUPTION: held.min(1),
        }

    @cached_property
    def _summands(self) -> NDArray[np.float32]:
        """Return what each image adds to each sum, ``[N, 10 + 10 + 15 + corruptions]``."""
        classes = np.eye(CLASSES)[self.labels]
        confidence = self.probabilities.max(1)
        # The same bins as ``calibration.reliability``: upper edges belong to them.
        bins = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
        gaps = np.eye(BINS)[bins] * (confidence - self.correct)[:, np.newaxis]
        held = np.stack(list(self.corrupted.values()), axis=1)
        columns = [classes * self.correct[:, np.newaxis], classes, gaps, held]
        return np.concatenate(columns, axis=1).astype(np.float32)


def measure(
    candidates: Sequence[Candidate], data: Digits, *, seed: int, step: Step = lambda done: None
) -> list[Measured]:
    """Measure every candidate on the test split of ``data``.

    Each corrupted image is made once and shown to all. Times are taken in turns, so that whatever
    else the machine does meets all of them alike.

    Args:
        candidates: the models.
        data: its test split is used and nothing else of it.
        seed: of the corruptions.
        step: called with the name of each part that is done; :func:`steps` of them.

    Raises:
        DataError: the split is empty or holds one digit only, or a model answers with NaN.
    """
    test = data.test
    assert_judges(data)
    logits = [candidate.classify(test.images) for candidate in candidates]
    for each in logits:
        report(each, test.labels)
    step(f"{len(test):,} digits")
    seconds = _times(candidates, test)
    step("times")
    held = _under_corruption(candidates, test, seed=seed, step=step)
    found = []
    for index, candidate in enumerate(candidates):
        found.append(
            Measured(
                name=candidate.name,
                labels=test.labels,
                logits=logits[index],
                temperature=candidate.temperature or 1.0,
                corrupted=held[index],
                round_seconds=seconds[index],
                onnx_bytes=candidate.onnx_bytes,
                sanity=_sanity(candidate, test, logits[index]),
            )
        )
        step(f"explanations of {candidate.name}")
    return found


def assert_judges(data: Digits) -> None:
    """Refuse data that no two models can be told apart by.

    Raises:
        DataError: its test split is empty or holds one digit only.
    """
    there = np.unique(data.test.labels)
    if not len(there):
        raise DataError(f"{data.name}: its test split is empty: there is nothing to judge by")
    if len(there) == 1:
        raise DataError(
            f"{data.name}: its test split holds the digit {there[0]} only: a model that always "
            f"says so would pass. The gate needs several"
        )


def steps(candidates: int) -> int:
    """Return how often ``step`` is called."""
    return 2 + len(CORRUPTIONS) + candidates


def _times(candidates: Sequence[Candidate], test: Split) -> NDArray[np.float64]:
    """Return the median seconds of one answer, ``[candidates, rounds]``."""
    medians = np.empty((len(candidates), ROUNDS))
    single = test.images[:1]
    for candidate in candidates:
        for _ in range(WARM_UP):
            candidate.classify(single)
    for turn in range(ROUNDS):
        for index, candidate in enumerate(candidates):
            taken = np.empty(REPEATS)
            for repeat in range(REPEATS):
                start = time.perf_counter()
                candidate.classify(single)
                taken[repeat] = time.perf_counter() - start
            medians[index, turn] = np.median(taken)
    return medians


def _under_corruption(
    candidates: Sequence[Candidate], test: Split, *, seed: int, step: Step
) -> list[dict[str, NDArray[np.bool_]]]:
    right: list[dict[str, NDArray[np.bool_]]] = [{} for _ in candidates]
    for name, images in corrupted(test.images, seed=seed):
        for candidate, results in zip(candidates, right, strict=True):
            results[name] = candidate.classify(images).argmax(1) == test.labels
        step(name.replace("_", " "))
    return right


def _sanity(candidate: Candidate, test: Split, logits: NDArray[np.float32]) -> float | None:
    if candidate.sanity is None:
        return None
    # Spread over the split: a sorted one begins with one digit only.
    chosen = np.unique(np.linspace(0, len(test) - 1, SANITY_IMAGES).round().astype(int))
    value = candidate.sanity(test.images[chosen], logits[chosen].argmax(1))
    return value if np.isfinite(value) else None
