"""All that is known of one model on one data set, by one code for every runtime."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from digits.data.types import Digits, Split
from digits.errors import DataError
from digits.evaluation.abstention import Abstention, abstention
from digits.evaluation.calibration import Reliability, fit_temperature, reliability
from digits.evaluation.classify import Agreement, Classify, Compared
from digits.evaluation.corruptions import CORRUPTIONS
from digits.evaluation.latency import Latency, latency, machine
from digits.evaluation.metrics import ClassScore, Report, per_class, report
from digits.evaluation.robustness import robustness
from digits.evaluation.stability import DIRECTIONS, Stability, stability

LATENCY_REPEATS = 300

Step = Callable[[str], None]


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


def evaluate_classifiers(
    classifiers: Mapping[str, Classify],
    data: Digits,
    *,
    temperature: float | None,
    seed: int,
    step: Step = lambda done: None,
) -> Evaluation:
    """Judge one model on the test split of ``data``.

    Args:
        classifiers: runtime -> the model; figures are of the first, and with a second one it is
            said how far the two agree.
        data: its test split is judged; nothing but a temperature is fitted, on its validation.
        temperature: the model's own; None has one fitted, where there is a validation split.
        seed: of the corruptions.
        step: called with the name of each part that is done; :func:`steps` of them.

    Raises:
        DataError: the test split is empty, or a runtime answers with what is no number.
    """
    test = data.test
    if not len(test):
        raise DataError(f"{data.name}: its test split is empty: there is nothing to evaluate on")
    runtimes = {
        name: _judge(name, classify, test, step=step) for name, classify in classifiers.items()
    }
    first, *others = classifiers.values()
    ask = Compared(first, others[0]) if others else first
    moved = stability(ask, test.images, progress=lambda: step("one-pixel shifts"))
    held = robustness(ask, test.images, test.labels, seed=seed, progress=step)
    fitted = temperature is None and len(data.validation) > 0
    if fitted:
        temperature = fit_temperature(first(data.validation.images), data.validation.labels)
    logits = next(iter(runtimes.values())).logits.astype(np.float64)
    divided = logits / (temperature or 1.0)
    probabilities = softmax(divided, axis=1)
    correct = logits.argmax(1) == test.labels
    return Evaluation(
        test=test,
        runtimes=runtimes,
        temperature=temperature,
        fitted=fitted,
        probabilities=probabilities,
        calibrated=report(divided, test.labels),
        raw_reliability=reliability(softmax(logits, axis=1).max(1), correct),
        reliability=reliability(probabilities.max(1), correct),
        abstention=abstention(probabilities.max(1), correct),
        stability=moved,
        robustness=held,
        agreement=ask.agreement if isinstance(ask, Compared) else None,
        machine=machine(),
    )


def steps(classifiers: Mapping[str, Classify]) -> int:
    """Return how often ``step`` is called."""
    return len(classifiers) + len(DIRECTIONS) + len(CORRUPTIONS)


def _judge(name: str, classify: Classify, test: Split, *, step: Step) -> RuntimeResult:
    single = latency(classify, test.images[0], repeats=LATENCY_REPEATS)
    start = time.perf_counter()
    logits = classify(test.images)
    seconds = time.perf_counter() - start
    judged = report(logits, test.labels)
    step(f"{name}: {len(test):,} digits")
    return RuntimeResult(logits, judged, single, len(test) / seconds)
