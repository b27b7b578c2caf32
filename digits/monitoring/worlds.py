"""Worlds that a window may lie in: how likely each of its answers is right there.

In the likelier ones the digits come about as often as in the reference, so that of the answers "8"
no more are right than there are eights; and in half of these, where "8" is answered far too often,
most eights are among them. In the others digits come as they please. In all of them the answers to
foreign images are right more or less often than the pooled model says, by an offset with a prior of
Student's. Labels tell which world it is, by Bayes' rule.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import t as student

Numbers = NDArray[np.float64]

FREEDOM = 5  # of Student's distribution of the offsets: one in a while is far off
POINTS = 241  # offsets that are looked at
REACH = 6.0  # scales, either way of their mean
USUAL = 0.8  # belief, without labels, that digits come as often as in the reference
SLACK = 2.0  # standard deviations of their number in a window
TOO_OFTEN = 2.0  # times as often as a digit comes about: what is answered so leaves few of it out
FOUND = 0.75  # least share of the digit then; 0.9 on average in the perturbations that are known


class Seen(NamedTuple):
    """Of each answer, ``[N]``: the digit, chances to be right if known and to be foreign, log odds.

    The odds are those to be right if foreign, by the pooled model.
    """

    answers: NDArray[np.intp]
    known: Numbers
    foreign: Numbers
    odds: Numbers

    def likely(self, offsets: Numbers) -> Numbers:
        """Return how likely each answer is right under each offset, ``[G, N]``."""
        known, strange = self._parts(offsets)
        return np.clip(known + strange, 1e-6, 1 - 1e-6)

    def bounded(self, offsets: Numbers, usual: Numbers, *, found: float = 0.0) -> Numbers:
        """Return the same where of each digit there are no more than usual, ``[10]`` in 0..1.

        What is too much or too little is mended at the foreign images alone: others are known.

        Args:
            offsets: ``[G]``.
            usual: share of each digit.
            found: least share of a digit that is answered rightly where it is answered too often.
        """
        known, strange = self._parts(offsets)
        for digit, there in enumerate(usual * len(self.answers)):
            mine = self.answers == digit
            most = max(there + SLACK * np.sqrt(there) - known[mine].sum(), 0.0)
            claimed = strange[:, mine].sum(1)
            strange[:, mine] *= np.minimum(1, most / np.maximum(claimed, 1e-9))[:, None]
            if found and mine.sum() >= TOO_OFTEN * there:
                left = self.foreign[mine] - strange[:, mine]
                lacking = found * there - known[mine].sum() - strange[:, mine].sum(1)
                share = np.clip(lacking / np.maximum(left.sum(1), 1e-9), 0, 1)
                strange[:, mine] += share[:, None] * left
        return np.clip(known + strange, 1e-6, 1 - 1e-6)

    def _parts(self, offsets: Numbers) -> tuple[Numbers, Numbers]:
        """Return the chances to be known and right, ``[N]``, and foreign and right, ``[G, N]``."""
        strange: Numbers = self.foreign * expit(self.odds + offsets[:, None])
        return (1 - self.foreign) * self.known, strange


def worlds(seen: Seen, usual: Numbers, *, offset: float, spread: float) -> tuple[Numbers, Numbers]:
    """Return chances to be right, ``[W, N]``, and how likely each world is, ``[W]``.

    Args:
        seen: the answers of the window.
        usual: share of each digit in the reference, ``[10]``.
        offset, spread: location and scale of the offsets.
    """
    offsets = offset + spread * np.linspace(-REACH, REACH, POINTS)
    prior = student.pdf((offsets - offset) / spread, FREEDOM)
    likely = [
        seen.bounded(offsets, usual, found=FOUND),
        seen.bounded(offsets, usual),
        seen.likely(offsets),
    ]
    weights = np.concatenate([USUAL / 2 * prior, USUAL / 2 * prior, (1 - USUAL) * prior])
    return np.concatenate(likely), weights / weights.sum()


def given(weights: Numbers, likely: Numbers, right: NDArray[np.bool_]) -> Numbers:
    """Return how likely each world is, ``[W]``, once L answers ``[W, L]`` turned out so."""
    log = np.log(weights) + log_likelihood(likely, right)
    found: Numbers = np.exp(log - log.max())
    return found / found.sum()


def log_likelihood(likely: Numbers, right: NDArray[np.bool_]) -> Numbers:
    """Return the log of how likely L answers are to turn out so, ``[W]``, by ``[W, L]``."""
    found: Numbers = np.log(np.where(right, likely, 1 - likely)).sum(1)
    return found
