"""What a model must reach to be served, and what it may lose against the one that is.

Every criterion has a limit that stands by itself and, where there is a champion, one against it:

- accuracy may not be lost for real: not significantly (exact McNemar test on the images that one
  model alone reads right), and by no more than ``max_accuracy_loss`` where too few images differ to
  tell. On a large set the test decides, on a small one the margin.
- what else is measured on the images (worst class, calibration, corruptions) may lose up to its
  margin, as the price of something else; more only while that cannot be told from noise (paired
  bootstrap).
- time, size and explanations are compared as they are, with a margin.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, TypeAlias

from pydantic import Field

from digits.promotion.criteria import (
    MEGABYTES,
    MILLISECONDS,
    NUMBER,
    SHARE,
    Criterion,
    accuracy_fault,
    judged,
    loss_fault,
    ratio_fault,
)
from digits.promotion.measured import (
    ACCURACY,
    CALIBRATION,
    MEAN_CORRUPTION,
    WORST_CLASS,
    WORST_CORRUPTION,
    Measured,
)
from digits.promotion.paired import Difference, McNemar, bootstrap, mcnemar

Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]
Ratio: TypeAlias = Annotated[float, Field(ge=1)]
Positive: TypeAlias = Annotated[float, Field(gt=0)]

LATENCY = "time of one answer"
SIZE = "size"
EXPLANATION = "explanation sanity"
HISTORY = "not rolled back"
MEGA = 1e6


@dataclass(frozen=True)
class Verdict:
    """What the gate says of a challenger.

    Attributes:
        criteria: one by one, each with its reason.
        differences: figure -> challenger minus champion; empty without a champion.
        mcnemar: of accuracy; None without a champion.
    """

    criteria: list[Criterion]
    differences: dict[str, Difference]
    mcnemar: McNemar | None

    @property
    def passed(self) -> bool:
        """Whether every criterion is met."""
        return all(criterion.passed for criterion in self.criteria)

    @property
    def reasons(self) -> list[str]:
        """Why not, one sentence for each criterion that is not met."""
        return [f"{each.name}: {each.why}" for each in self.criteria if not each.passed]


class Gate:
    """The limits: the `gate` config group; ``None`` leaves a limit out.

    Shares are in 0..1. A loss, or a rise of what should be low, is against the champion.

    Args:
        significance: two-sided level of the tests; a champion's equal is turned away by noise in
            half of that share of cases at the most.
        resamples: of the paired bootstrap.
        min_accuracy, max_accuracy_loss: share of digits that are read right.
        min_worst_class, max_worst_class_loss: the same of the digit that fares worst.
        max_calibration_error, max_calibration_error_rise: expected calibration error as served.
        min_mean_corruption, max_mean_corruption_loss: accuracy, mean over the 15 corruptions.
        min_worst_corruption, max_worst_corruption_loss: accuracy under the worst of them.
        max_latency_ms, max_latency_ratio: median time of one answer on this machine, in
            milliseconds and as a multiple of the champion's.
        latency_slack_ms: so much slower is never too slow.
        max_size_mb, max_size_ratio: size of the ONNX file, in 10^6 bytes and against the champion.
        size_slack_mb: so much larger is never too large.
        max_explanation_similarity, max_explanation_similarity_rise: how much its saliency maps
            resemble those of the same network with random weights (rank correlation, low is sane).
        allow_rolled_back: whether a version that was rolled back may come again.
    """

    def __init__(
        self,
        *,
        significance: Annotated[float, Field(gt=0, lt=0.5)],
        resamples: Annotated[int, Field(ge=100, le=100_000)],
        min_accuracy: Share | None,
        max_accuracy_loss: Share | None,
        min_worst_class: Share | None,
        max_worst_class_loss: Share | None,
        max_calibration_error: Share | None,
        max_calibration_error_rise: Share | None,
        min_mean_corruption: Share | None,
        max_mean_corruption_loss: Share | None,
        min_worst_corruption: Share | None,
        max_worst_corruption_loss: Share | None,
        max_latency_ms: Positive | None,
        max_latency_ratio: Ratio | None,
        latency_slack_ms: Annotated[float, Field(ge=0)],
        max_size_mb: Positive | None,
        max_size_ratio: Ratio | None,
        size_slack_mb: Annotated[float, Field(ge=0)],
        max_explanation_similarity: Share | None,
        max_explanation_similarity_rise: Share | None,
        allow_rolled_back: bool = False,
    ) -> None:
        self.significance = significance
        self.resamples = resamples
        self.margins = {
            ACCURACY: (min_accuracy, max_accuracy_loss),
            WORST_CLASS: (min_worst_class, max_worst_class_loss),
            CALIBRATION: (max_calibration_error, max_calibration_error_rise),
            MEAN_CORRUPTION: (min_mean_corruption, max_mean_corruption_loss),
            WORST_CORRUPTION: (min_worst_corruption, max_worst_corruption_loss),
        }
        self.latency = (max_latency_ms, max_latency_ratio, latency_slack_ms)
        self.size = (max_size_mb, max_size_ratio, size_slack_mb)
        self.explanation = (max_explanation_similarity, max_explanation_similarity_rise)
        self.allow_rolled_back = allow_rolled_back

    def judge(
        self,
        challenger: Measured,
        champion: Measured | None,
        *,
        rolled_back: bool = False,
        seed: int = 0,
    ) -> Verdict:
        """Decide on ``challenger``, measured on the same images as ``champion``.

        Args:
            challenger: who wants to be champion.
            champion: who is; None: only the limits that stand by themselves apply.
            rolled_back: whether the challenger was champion, and was sent back.
            seed: of the bootstrap.
        """
        differences: dict[str, Difference] = {}
        test = None
        if champion is not None:
            test = mcnemar(challenger.correct, champion.correct)
            differences = bootstrap(
                challenger.figures,
                champion.figures,
                len(challenger.labels),
                resamples=self.resamples,
                confidence=1 - self.significance,
                seed=seed,
            )
        ours, theirs = challenger.values(), champion.values() if champion else {}
        criteria = [
            self._of_images(name, ours[name], theirs.get(name), differences.get(name), test)
            for name in self.margins
        ]
        criteria += [
            each(challenger, champion) for each in (self._latency, self._size, self._explanation)
        ]
        if rolled_back:
            criteria.append(self._history())
        return Verdict(criteria, differences, test)

    def _of_images(
        self,
        name: str,
        challenger: float,
        champion: float | None,
        difference: Difference | None,
        test: McNemar | None,
    ) -> Criterion:
        limit, margin = self.margins[name]
        low_is_good = name == CALIBRATION
        fault = None
        if difference is not None and test is not None and margin is not None:
            if name == ACCURACY:
                fault = accuracy_fault(-difference.value, margin, test, self.significance)
            else:
                fault = loss_fault(difference, margin, low_is_good=low_is_good)
        return judged(
            name,
            SHARE,
            challenger,
            champion,
            limit=limit,
            margin=margin,
            low_is_good=low_is_good,
            fault=fault,
            difference=difference,
        )

    def _latency(self, challenger: Measured, champion: Measured | None) -> Criterion:
        limit, ratio, slack = self.latency
        new = 1000 * challenger.seconds
        old = 1000 * champion.seconds if champion else None
        fault = ratio_fault(new, old, ratio, slack=slack)
        return judged(
            LATENCY, MILLISECONDS, new, old,
            limit=limit, margin=ratio, low_is_good=True, fault=fault,
        )  # fmt: skip

    def _size(self, challenger: Measured, champion: Measured | None) -> Criterion:
        limit, ratio, slack = self.size
        new = challenger.onnx_bytes / MEGA
        old = champion.onnx_bytes / MEGA if champion else None
        fault = ratio_fault(new, old, ratio, slack=slack)
        return judged(
            SIZE, MEGABYTES, new, old, limit=limit, margin=ratio, low_is_good=True, fault=fault
        )

    def _explanation(self, challenger: Measured, champion: Measured | None) -> Criterion:
        limit, margin = self.explanation
        new, old = challenger.sanity, champion.sanity if champion else None
        fault = None
        if new is not None and old is not None and margin is not None and new - old > margin:
            fault = f"{new - old:.2f} above the champion's, {margin:g} is allowed"
        return judged(
            EXPLANATION,
            NUMBER,
            new,
            old,
            limit=limit,
            margin=margin,
            low_is_good=True,
            fault=fault,
            unknown="its maps are constant, or its bundle cannot rebuild its network",
        )

    def _history(self) -> Criterion:
        why = "it was champion and was rolled back"
        if not self.allow_rolled_back:
            why += "; let it pass with gate.allow_rolled_back=true"
        return Criterion(HISTORY, NUMBER, None, passed=self.allow_rolled_back, why=why)
