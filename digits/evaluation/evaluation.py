"""All that is known of one model on one data set: the numbers, and what follows from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digits.data.types import Split
from digits.evaluation.abstention import Abstention
from digits.evaluation.calibration import Reliability
from digits.evaluation.classify import Agreement
from digits.evaluation.latency import Latency
from digits.evaluation.metrics import ClassScore, Report, per_class
from digits.evaluation.stability import Stability


@dataclass(frozen=True)
class RuntimeResult:
    """One runtime of the model on the test split.

    Attributes:
        logits: float32 ``[N, 10]``.
        report: from the logits as they are, not calibrated.
        latency: of single answers.
        images_per_second: in batches of a thousand.
    """

    logits: NDArray[np.float32]
    report: Report
    latency: Latency
    images_per_second: float


@dataclass(frozen=True)
class Evaluation:
    """A model on one data set; arrays are over the N digits of its test split.

    Attributes:
        test: the digits that were judged.
        runtimes: name -> result; the first is the one that all the rest is of.
        temperature: what logits were divided by; None where nothing could be fitted.
        fitted: whether it was fitted here, on this data's validation split.
        probabilities: calibrated, float64 ``[N, 10]``.
        calibrated: the report after calibration; the same where there is no temperature.
        raw_reliability, reliability: before and after calibration.
        abstention: accuracy by share answered.
        stability: under shifts by one pixel.
        robustness: corruption -> accuracy.
        agreement: of the first two runtimes on every image of the evaluation; None with one.
        machine: what the times were measured on.
    """

    test: Split
    runtimes: Mapping[str, RuntimeResult]
    temperature: float | None
    fitted: bool
    probabilities: NDArray[np.float64]
    calibrated: Report
    raw_reliability: Reliability
    reliability: Reliability
    abstention: Abstention
    stability: Stability
    robustness: Mapping[str, float]
    agreement: Agreement | None
    machine: str

    @property
    def first(self) -> RuntimeResult:
        """The runtime that all figures are of."""
        return next(iter(self.runtimes.values()))

    @property
    def answers(self) -> NDArray[np.int64]:
        """The digit that is named, int64 ``[N]``."""
        return self.first.logits.argmax(1)

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Whether each answer is right, ``[N]``: what two models are compared by, in pairs."""
        return self.answers == self.test.labels

    @property
    def classes(self) -> list[ClassScore]:
        """Precision, recall and F1 of each class."""
        return per_class(self.first.report.confusion)

    @property
    def worst_corruption(self) -> str:
        """The name of the corruption with the lowest accuracy."""
        return min(self.robustness, key=lambda name: self.robustness[name])

    @property
    def mean_robustness(self) -> float:
        """Mean accuracy over the corruptions, in 0..1."""
        return float(np.mean(list(self.robustness.values())))

    @property
    def worst_class(self) -> ClassScore:
        """The class, of those that occur, of which the smallest share is read right."""
        occurring = [score for score in self.classes if score.recall is not None]
        return min(occurring, key=lambda score: score.recall or 0.0)

    def mistakes(self, most: int) -> NDArray[np.intp]:
        """Return the indices of wrong answers, those given with most confidence first."""
        wrong = np.flatnonzero(~self.correct)
        order = np.argsort(-self.probabilities.max(1)[wrong], kind="stable")
        return wrong[order][:most]

    def metrics(self) -> dict[str, float]:
        """Return the scalars as they are tracked; shares in 0..1."""
        numbers = {
            **self.first.report.metrics("test"),
            "test/calibrated_loss": self.calibrated.loss,
            "test/calibrated_calibration_error": self.calibrated.calibration_error,
            "test/worst_class_recall": self.worst_class.recall or 0.0,
            "abstention/risk_area": self.abstention.risk_area,
            "stability/one_pixel": self.stability.stable,
            "robustness/mean": self.mean_robustness,
            "robustness/worst": self.robustness[self.worst_corruption],
            **{f"robustness/{name}": accuracy for name, accuracy in self.robustness.items()},
        }
        if self.temperature is not None:
            numbers["calibration/temperature"] = self.temperature
        for name, result in self.runtimes.items():
            numbers[f"latency/{name}_median_ms"] = 1000 * result.latency.median_seconds
            numbers[f"latency/{name}_p95_ms"] = 1000 * result.latency.p95_seconds
            numbers[f"latency/{name}_images_per_second"] = result.images_per_second
        if self.agreement is not None:
            numbers["agreement/disagreements"] = self.agreement.disagreements
            numbers["agreement/largest_difference"] = self.agreement.largest_difference
        return numbers
