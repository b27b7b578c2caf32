"""A window of traffic against the reference: has something changed, and is it any worse for it?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from digits.monitoring.accuracy import Estimate, Judged, Trust
from digits.monitoring.calibration import SIZES, Null, calibrate
from digits.monitoring.coding import Coding
from digits.monitoring.signals import Signals

FEWEST, MOST = SIZES[0], SIZES[-1]  # images of a window that statistics are computed of
LABELS = "labels"  # name of what the labelled answers say
TRIES = 4000  # of labelled answers, drawn as the reference would have it

Status = Literal["steady", "shifted", "harmful", "unknown"]


@dataclass(frozen=True)
class Finding:
    """What came out for one window.

    Attributes:
        status: steady; shifted, and as good as before; harmful: shifted, and worse than is
            tolerated; unknown: too few images to tell.
        count: images of the window.
        chance: share of clean windows that look as unusual, over all signals; NaN if unknown.
        shares: signal -> the same of it alone.
        before: accuracy on the reference, in 0..1.
        now: estimate for the window; None if unknown.
        foreign: share of the window that is none of the reference's kind, in 0..1.
        reason: in words.
    """

    status: Status
    count: int
    chance: float
    shares: Mapping[str, float]
    before: float
    now: Estimate | None
    foreign: float
    reason: str

    @property
    def loudest(self) -> str | None:
        """The signal that is least likely by chance."""
        return min(self.shares, key=lambda name: self.shares[name]) if self.shares else None


@dataclass(frozen=True)
class Monitor:
    """Judges windows; made once for a model version.

    Attributes:
        coding: from the reference.
        nulls: what clean windows come to, by rising size.
        trust: how often answers are right.
        before: accuracy on the reference.
    """

    coding: Coding
    nulls: Sequence[Null]
    trust: Trust
    before: float

    @classmethod
    def of(
        cls,
        reference: Judged,
        perturbed: Sequence[Judged],
        nulls: Sequence[Null] | None = None,
        *,
        seed: int = 0,
    ) -> Monitor:
        """Fit to the reference and to what is known of answers to changed images.

        Args:
            reference: clean held-out images.
            perturbed: sets of changed images, with the same scores.
            nulls: of an earlier calibration on this reference; calibrated here if not given.
            seed: of the calibration.

        Raises:
            DataError: the reference is too small.
        """
        found = calibrate(reference.signals, seed=seed) if nulls is None else nulls
        coding = Coding.of(reference.signals)
        before = float(reference.right.mean())
        return cls(coding, list(found), Trust.of(reference, perturbed), before)

    def judge(
        self,
        signals: Signals,
        *,
        false_alarms: float = 0.02,
        tolerated_loss: float = 0.02,
        labelled: NDArray[Any] | None = None,
        right: NDArray[np.bool_] | None = None,
    ) -> Finding:
        """Judge one window.

        Args:
            signals: of its images; it has the scores that the reference has.
            false_alarms: share of clean windows that may be called shifted.
            tolerated_loss: of accuracy, in 0..1: a shift that costs no more is no harm.
            labelled: indices of images whose labels are known, see :class:`Trust`.
            right: whether their answers are right.
        """
        count = len(signals)
        if count < FEWEST:
            reason = f"{count} images are too few to tell: {FEWEST} are needed"
            return Finding("unknown", count, float("nan"), {}, self.before, None, 0.0, reason)
        chance, shares = self._shift(signals)
        if labelled is not None and right is not None and len(labelled):
            shares[LABELS] = self._surprise(signals.take(labelled), right)
            chance = min(1.0, 2 * min(chance, shares[LABELS]))
        now = self.trust.estimate(signals, labelled, right)
        foreign = float(self.trust.foreign(signals).mean())
        loss = self.before - now.accuracy
        status: Status = "steady"
        if chance <= false_alarms:
            status = "harmful" if loss > tolerated_loss else "shifted"
        return Finding(
            status, count, chance, shares, self.before, now, foreign, _reason(status, loss)
        )

    def chances(self, means: NDArray[np.float64], count: int) -> NDArray[np.float64]:
        """Return the chance ``[W]`` of windows of ``count`` images with coded means ``[W, M]``."""
        return self._against(means, count)[0]

    def _shift(self, signals: Signals) -> tuple[float, dict[str, float]]:
        count = min(len(signals), MOST)
        if count < len(signals):
            random = np.random.default_rng(0)
            signals = signals.take(random.choice(len(signals), count, replace=False))
        means = self.coding.code(signals).mean(0, dtype=np.float64, keepdims=True)
        chance, shares = self._against(means, count)
        return float(chance[0]), {name: float(values[0]) for name, values in shares.items()}

    def _against(
        self, means: NDArray[np.float64], count: int
    ) -> tuple[NDArray[np.float64], dict[str, NDArray[np.float64]]]:
        """Hold windows against clean ones of the two nearest sizes, in proportion."""
        found = self.coding.statistics(means, count)
        sizes = [null.count for null in self.nulls]
        above = int(np.searchsorted(sizes, count).clip(1, len(sizes) - 1))
        low, high = self.nulls[above - 1], self.nulls[above]
        part = float(np.log(count / low.count) / np.log(high.count / low.count))
        both = [null.shares(found) for null in (low, high)]
        chances = [null.verdict(shares) for null, shares in zip((low, high), both, strict=True)]
        mixed = {name: both[0][name] ** (1 - part) * both[1][name] ** part for name in found}
        return chances[0] ** (1 - part) * chances[1] ** part, mixed

    def _surprise(self, labelled: Signals, right: NDArray[np.bool_]) -> float:
        """Return how often as many answers would be wrong if nothing had changed."""
        plain, _ = self.trust.features(labelled)
        likely = expit(plain @ self.trust.known)
        drawn = np.random.default_rng(0).random((TRIES, len(likely))) > likely
        as_many = int((drawn.sum(1) >= (~right).sum()).sum())
        return (as_many + 1) / (TRIES + 1)


def _reason(status: Status, loss: float) -> str:
    if status == "steady":
        return "nothing in the window is unusual"
    if status == "shifted":
        return "the images have changed, and the answers are about as good as before"
    return f"the images have changed, and about {100 * loss:.1f} points of accuracy are lost"
