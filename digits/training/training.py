"""What is trained, on what, and how: the parts of a training, put together by a task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Checkpoint

from digits.data.types import Digits
from digits.models.classifier import DigitClassifier
from digits.training.callbacks import History, TrainingProgress
from digits.training.fit import Fitted, MakeTrainer, fit, threads_beside, workers_of
from hydra_plugins.ray_tune_sweeper.session import Trial


class Source(Protocol):
    """Where digits come from: the `data` config group."""

    def load(self) -> Digits:
        """Read the data and split it."""

    def keep(self, data: Digits, *, commit: str, config_digest: str, config: Path) -> None:
        """Keep what was read as a data version, unless it is kept already."""


@dataclass(frozen=True)
class Training:
    """What is trained, on what, and how."""

    source: Source
    loaders: Callable[[Digits], pl.LightningDataModule]
    classifier: DigitClassifier
    trainer: MakeTrainer
    callbacks: Mapping[str, pl.Callback]

    @property
    def has_checkpoints(self) -> bool:
        """Whether the training can be resumed."""
        return any(isinstance(callback, Checkpoint) for callback in self.callbacks.values())

    def threads(self, data: Digits) -> int:
        """Return with how many threads a training on this data computes."""
        return threads_beside(workers_of(self.loaders(data)))

    def fit(
        self,
        data: Digits,
        history: History,
        *,
        folder: Path,
        resume: bool = False,
        trial: Trial | None = None,
    ) -> Fitted:
        """Train the classifier in place."""
        return fit(
            self.classifier,
            self.loaders(data),
            trainer=self.trainer,
            callbacks=[*self.callbacks.values(), TrainingProgress(history)],
            history=history,
            folder=folder,
            resume=resume,
            trial=trial,
        )
