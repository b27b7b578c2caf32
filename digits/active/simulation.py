"""Active learning with the known labels as the person who is asked."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray

from digits.active.acquisition import Acquisition
from digits.active.rounds import Curve, Round
from digits.active.scoring import BATCH
from digits.active.views import Network, view
from digits.data.split import sample
from digits.data.types import Digits, Split
from digits.errors import ConfigError, Finding
from digits.models.classifier import DigitClassifier
from digits.training.callbacks import History
from digits.training.fit import MakeTrainer, answers, fit

NOTHING = Split(np.empty((0, 28, 28), np.uint8), np.empty(0, np.int64))
NOISE = 8  # grey levels: a tenth of the standard deviation of MNIST's pixels


@dataclass(frozen=True)
class Learner:
    """Trains on what is labelled, each time from the same first weights.

    Attributes:
        loaders: data -> Lightning data module.
        classifier: untrained; each training has a copy.
        trainer: makes the Lightning trainer.
        folder: that Lightning may write to.
        seed: of what a training draws.
    """

    loaders: Callable[[Digits], pl.LightningDataModule]
    classifier: DigitClassifier
    trainer: MakeTrainer
    folder: Path
    seed: int

    def learn(self, data: Digits) -> DigitClassifier:
        """Return a classifier trained on the training split."""
        torch.manual_seed(self.seed)
        classifier = copy.deepcopy(self.classifier)
        fit(
            classifier,
            self.loaders(data),
            trainer=self.trainer,
            callbacks=[],
            history=History(lambda metrics, epoch: None),
            folder=self.folder,
            announce=False,
        )
        return classifier


@dataclass(frozen=True)
class Simulation:
    """The pool, who learns, how it chooses.

    Attributes:
        data: the training split is the pool, the test split judges; validation is not looked at.
        learner: trains.
        acquisition: chooses.
        per_round: how many are labelled between two trainings.
        draws: networks that a method is shown which compares several.
        seed: of the first labels and of every choice.
    """

    data: Digits
    learner: Learner
    acquisition: Acquisition
    per_round: int
    draws: int
    seed: int

    def first(self, count: int) -> NDArray[np.intp]:
        """Return places in the pool of the first labels, every class in proportion."""
        return sample(self.data.train.labels, count, seed=self.seed, key="initial")

    def run(self, curve: Curve, until: int) -> Iterator[Curve]:
        """Yield the curve after each further round, up to ``until`` labels or the whole pool."""
        until = min(until, len(self.data.train))
        if curve.rounds and curve.rounds[-1].labels >= until:
            return
        if curve.rounds and not curve.rounds[-1].chosen:  # it ended here, and is to go on
            curve = curve.model_copy(update={"rounds": curve.rounds[:-1]})
        while not curve.rounds or curve.rounds[-1].chosen:
            count = min(self.per_round, until - len(curve.labelled))
            curve = curve.then(self._round(curve.labelled, count))
            yield curve

    def _round(self, labelled: NDArray[np.intp], count: int) -> Round:
        """Train, test, and choose ``count`` more."""
        began, cpu_began = time.perf_counter(), time.process_time()
        pool, test = self.data.train, self.data.test
        rest = np.setdiff1d(np.arange(len(pool)), labelled)
        known = replace(
            self.data,
            train=pool.take(labelled),
            validation=NOTHING,
            test=NOTHING,
            unlabelled=pool.images[rest],
        )
        classifier = self.learner.learn(known)
        right = answers(classifier, test.images, batch=BATCH).argmax(1) == test.labels
        chosen = self._choose(classifier, known.train, rest, count) if count > 0 else rest[:0]
        return Round(
            labels=len(labelled),
            accuracy=float(right.mean()),
            seconds=time.perf_counter() - began,
            cpu_seconds=time.process_time() - cpu_began,
            chosen=tuple(chosen.tolist()),
        )

    def _choose(
        self, classifier: DigitClassifier, labelled: Split, rest: NDArray[np.intp], count: int
    ) -> NDArray[np.intp]:
        # Of the seed and the round alone, so that a resumed simulation chooses the same.
        generator = np.random.default_rng((self.seed, len(labelled)))
        needs = self.acquisition.needs
        asked = Network(classifier, needs, self.draws, seed=int(generator.integers(2**63)))
        seen = view(asked, self.data.train.images[rest])
        if "embeddings" in needs:
            seen = replace(seen, labelled=asked(labelled.images).embeddings)
        try:
            return rest[self.acquisition.select(seen, count, generator=generator).indices]
        except ValueError as error:
            told = str(error).removeprefix("acquisition: ")
            raise ConfigError([Finding("acquisition", told)]) from error


def repeated(split: Split, copies: int, *, seed: int) -> Split:
    """Return each sample ``copies`` times, each time with noise of its own.

    "Repeated MNIST" of Kirsch et al. 2019, "BatchBALD", section 4.2: a method that looks at
    samples one by one spends its labels on copies. Here the noise is cut to the range of pixels.
    """
    random = np.random.default_rng(seed)
    noisy = [
        (split.images + random.normal(0, NOISE, split.images.shape).astype(np.float32))
        .round()
        .clip(0, 255)
        .astype(np.uint8)
        for _ in range(copies)
    ]
    return Split(np.concatenate(noisy), np.tile(split.labels, copies))
