"""What a monitor is made from: a model's answers to clean held-out images, and to changed ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digits.data.types import Split
from digits.errors import DataError
from digits.monitoring.accuracy import Judged
from digits.monitoring.calibration import LEAST
from digits.monitoring.monitor import Monitor
from digits.monitoring.perturbations import PERTURBATIONS, perturbed
from digits.monitoring.signals import Observer, Signals

MOST = 10_000  # clean images
EACH = 400  # images of one perturbation at one strength
STRENGTHS = (0.0, 0.3, 0.6, 0.9)
STEPS = 1 + len(PERTURBATIONS)  # of :func:`gather`


@dataclass(frozen=True)
class Reference:
    """Answers to clean images, and to sets of changed ones, with which of them are right."""

    clean: Judged
    perturbed: tuple[Judged, ...]

    def only(self, names: frozenset[str]) -> Reference:
        """Return what remains where but these scores are known of a window, and no pixels."""
        return Reference(
            _only(self.clean, names), tuple(_only(one, names) for one in self.perturbed)
        )

    def monitor(self, *, seed: int = 0) -> Monitor:
        """Calibrate a monitor on it; takes some ten seconds."""
        return Monitor.of(self.clean, self.perturbed, seed=seed)


def gather(
    observe: Observer,
    held_out: Split,
    *,
    seed: int = 0,
    step: Callable[[str], None] = lambda done: None,
) -> Reference:
    """Ask the model about held-out images, clean and changed in many ways.

    Args:
        observe: asks it.
        held_out: what it has not learned from; at most 10,000 images are used.
        seed: chooses images and changes.
        step: called with the name of each of :data:`STEPS` parts that is done.

    Raises:
        DataError: there are too few images.
    """
    if len(held_out) < LEAST:
        raise DataError(
            f"a reference needs {LEAST} held-out images or more, there are {len(held_out)}: "
            f"choose data with a larger test split"
        )
    random = np.random.default_rng(seed)
    used = held_out.take(np.sort(random.permutation(len(held_out))[:MOST]))
    clean = judged(observe, used.images, used.labels)
    step("clean")
    changed = []
    for name in PERTURBATIONS:
        for strength in STRENGTHS:
            chosen = random.choice(len(used), min(EACH, len(used)), replace=False)
            images = perturbed(name, used.images[chosen], strength=strength, random=random)
            answers = judged(observe, images, used.labels[chosen])
            # Of a changed image nothing but the scores is asked for.
            known = Signals(answers.signals.probabilities, answers.signals.scores)
            changed.append(Judged(known, answers.right))
        step(name)
    return Reference(clean, tuple(changed))


def judged(observe: Observer, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> Judged:
    """Ask the model about images uint8 ``[N, 28, 28]`` with labels ``[N]``; N above 0."""
    signals = observe(images)
    return Judged(signals, signals.probabilities.argmax(1) == labels)


def _only(judged: Judged, names: frozenset[str]) -> Judged:
    signals = judged.signals
    scores = {name: values for name, values in signals.scores.items() if name in names}
    return Judged(Signals(signals.probabilities, scores), judged.right)
