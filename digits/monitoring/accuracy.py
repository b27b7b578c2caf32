"""How often the answers in a window are right, with an interval: without labels, or with a few.

What a window holds is taken for a mixture. Images of the reference's kind are right as often as
their confidence said on the reference. For the others, a logistic model pooled over perturbations
says how likely an answer is right; under each perturbation it is off by an offset, and how much
these scatter is the prior for a window. Without labels that prior gives the interval; every label
narrows it, by Bayes' rule. A label may be chosen by anything that the model has seen of the image,
its uncertainty included: the likelihood stays the same (Rubin 1976, "Inference and missing data").
The labelled answers so correct the estimate of all, which is the aim of prediction-powered
inference (Angelopoulos et al. 2023) too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit

from digits.data.types import CLASSES
from digits.monitoring.signals import Signals
from digits.monitoring.strangeness import Strangeness
from digits.monitoring.worlds import Numbers, Seen, given, log_likelihood, worlds

RIDGE = 1e-4  # of the fits, per image; by leaving out one perturbation at a time
LEAST_SPREAD = 0.5  # of the offsets
UNKNOWN = 1.5  # times as far others scatter than the perturbations that are known
WIDE = 2.0  # deviation of an offset of one perturbation that is believed
DRAWS = 4000  # of the accuracy, for its interval
PATIENCE = 20.0  # images: a window says little of its digits before
FLOOR = 0.02  # chance to be labelled of what seems certain, against 0.5 for a toss-up


@dataclass(frozen=True)
class Estimate:
    """Accuracy of the answers in a window, in 0..1.

    Attributes:
        accuracy: expected.
        low, high: 95 % credible interval.
        labels: how many of the answers are known to be right or wrong.
    """

    accuracy: float
    low: float
    high: float
    labels: int = 0


class Judged(NamedTuple):
    """Signals of images, and which answers are right, bool ``[N]``."""

    signals: Signals
    right: NDArray[np.bool_]


@dataclass(frozen=True)
class Trust:
    """How likely an answer is right, and how far that may be off in a window.

    Attributes:
        strangeness: of the reference.
        names: of the scores that the pooled model goes by.
        mean, scale: of each of them in the reference, ``[S]``.
        usual: share of each digit among the answers on the reference, ``[10]``.
        known: weights for images of the reference's kind.
        pooled: weights for others.
        offset, spread: location and scale of the offsets.
    """

    strangeness: Strangeness
    names: Sequence[str]
    mean: Numbers
    scale: Numbers
    usual: Numbers
    known: Numbers
    pooled: Numbers
    offset: float
    spread: float

    @classmethod
    def of(cls, reference: Judged, perturbed: Sequence[Judged]) -> Trust:
        """Fit to the reference and to perturbed sets, each of which counts as a window."""
        names = sorted(set(reference.signals.scores) - {"doubt"})
        scores = _columns(reference.signals, names)
        trust = cls(
            strangeness=Strangeness.of(reference.signals),
            names=names,
            mean=scores.mean(0),
            scale=np.maximum(scores.std(0), 1e-6),
            usual=_mix(reference.signals),
            known=np.zeros(3),
            pooled=np.zeros(len(names) + 6),
            offset=0.0,
            spread=1.0,
        )
        plain, _ = trust.features(reference.signals)
        known = _logistic(plain, reference.right, np.ones(len(plain)), RIDGE)
        each = [trust.features(one.signals)[1] for one in perturbed]
        weights = [trust.foreign(one.signals) + FLOOR for one in perturbed]
        right = np.concatenate([one.right for one in perturbed])
        pooled = _logistic(np.concatenate(each), right, np.concatenate(weights), RIDGE)
        trust = replace(trust, known=known, pooled=pooled)
        own = np.array([trust._offset(one) for one in perturbed])
        spread = max(UNKNOWN * own.std(), LEAST_SPREAD)
        return replace(trust, offset=float(own.mean()), spread=float(spread))

    def foreign(self, signals: Signals) -> Numbers:
        """Return how likely each image is none of the reference's kind, in 0..1, ``[N]``."""
        return self.strangeness.foreign(self.strangeness(signals))

    def estimate(
        self, signals: Signals, labelled: NDArray[Any] | None = None, right: Any = None
    ) -> Estimate:
        """Estimate the accuracy of N answers.

        Args:
            signals: of the images, N above 0.
            labelled: indices ``[L]`` of those whose labels are known; chosen by what the model saw.
            right: whether their answers are right, bool ``[L]``.
        """
        chosen = np.zeros(0, int) if labelled is None else np.asarray(labelled)
        truth = np.zeros(0, bool) if right is None else np.asarray(right, bool)
        seen = self._seen(signals)
        likely, weights = worlds(seen, self.usual, offset=self.offset, spread=self.spread)
        weights = given(weights, likely[:, chosen], truth)
        likely = np.delete(likely, chosen, axis=1)
        drawn = (random := np.random.default_rng(0)).choice(len(weights), DRAWS, p=weights)
        noise = np.sqrt((likely * (1 - likely)).sum(1))[drawn] * random.normal(size=DRAWS)
        sums = np.clip(likely.sum(1)[drawn] + noise, 0, likely.shape[1]) + truth.sum()
        low, high = np.quantile(sums / len(signals), [0.025, 0.975])
        expected = (weights @ likely.sum(1) + truth.sum()) / len(signals)
        return Estimate(float(expected), float(low), float(high), len(chosen))

    def to_label(self, signals: Signals, count: int, *, seed: int = 0) -> NDArray[np.intp]:
        """Choose which of N answers to label, at most ``count``: the doubtful ones more often.

        By the square root of the variance, as active testing does (Sawade et al. 2010, "Active risk
        estimation"), and at equal steps through the answers in order of digit and doubt (Madow
        1949), so that no kind of answer is left out by chance.

        Returns:
            Indices, all different, ascending.
        """
        likely = self._seen(signals).likely(np.array([self.offset]))[0]
        order = np.lexsort((likely, signals.probabilities.argmax(1)))
        steps = np.cumsum((np.sqrt(likely * (1 - likely)) + FLOOR)[order])
        start = np.random.default_rng(seed).random()
        places = np.searchsorted(steps, (np.arange(count) + start) * steps[-1] / count)
        return np.unique(order[np.minimum(places, len(order) - 1)])

    def _seen(self, signals: Signals) -> Seen:
        plain, strange = self.features(signals)
        odds = np.clip(strange @ self.pooled, -6, 8)
        answers = signals.probabilities.argmax(1)
        return Seen(answers, expit(plain @ self.known), self.foreign(signals), odds)

    def features(self, signals: Signals) -> tuple[Numbers, Numbers]:
        """Return what the known and the pooled model go by, ``[N, 3]`` and ``[N, S + 6]``."""
        sure = -signals.scores["doubt"].astype(np.float64) / 3
        strange = self.strangeness(signals).astype(np.float64) - 1
        one = np.ones_like(sure)
        scores = np.arcsinh((_columns(signals, self.names) - self.mean) / self.scale)
        excess = self._excess(signals)
        pooled = [sure, *scores.T, strange / 3, strange * sure / 3, one]
        pooled += [np.maximum(excess, 0), np.minimum(excess, 0)]
        return np.stack([sure, strange, one], axis=1), np.stack(pooled, axis=1)

    def _excess(self, signals: Signals) -> Numbers:
        """Return the log of how much more often than usual its digit is answered, ``[N]``.

        A digit that is answered twice as often as usual is wrong half the time, unless there are
        twice as many of it.
        """
        count = len(signals)
        share = (count * _mix(signals) + PATIENCE * self.usual) / (count + PATIENCE)
        excess: Numbers = np.log((share + 0.01) / (self.usual + 0.01))
        return excess[signals.probabilities.argmax(1)]

    def _offset(self, judged: Judged) -> float:
        """Return the offset under which the answers of one perturbation are likeliest."""
        seen = self._seen(judged.signals)

        def loss(offset: float) -> float:
            found = log_likelihood(seen.likely(np.array([offset])), judged.right)[0]
            return float(offset**2 / (2 * WIDE**2) - found)

        return float(minimize_scalar(loss, bounds=(-10, 10), method="bounded").x)


def _mix(signals: Signals) -> Numbers:
    """Return the share of each digit among the answers, ``[10]``."""
    answers = signals.probabilities.argmax(1)
    return np.bincount(answers, minlength=CLASSES) / max(len(answers), 1)


def _columns(signals: Signals, names: Sequence[str]) -> Numbers:
    columns = [signals.scores[name].astype(np.float64) for name in names]
    return np.stack(columns, axis=1) if columns else np.zeros((len(signals), 0))


def _logistic(values: Numbers, right: NDArray[np.bool_], weights: Numbers, ridge: float) -> Numbers:
    """Fit coefficients ``[S]`` by weighted, penalised likelihood."""
    sign, share = 2.0 * right - 1, weights / weights.sum()

    def loss(slopes: Numbers) -> tuple[float, Numbers]:
        margins = sign * (values @ slopes)
        gradient = -(values.T @ (share * sign * expit(-margins))) + 2 * ridge * slopes
        return float(share @ np.logaddexp(0, -margins) + ridge * slopes @ slopes), gradient

    found: Numbers = minimize(loss, np.zeros(values.shape[1]), jac=True, method="L-BFGS-B").x
    return found
