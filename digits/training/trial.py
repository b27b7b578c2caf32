"""A training inside a search: each epoch is reported, and the search may end it early."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Checkpoint

from digits.training.callbacks import History
from hydra_plugins.ray_tune_sweeper.session import Trial


class ReportToSearch(Checkpoint):
    """Report every epoch to the search with its checkpoint, and stop when the search says so.

    A ``Checkpoint``, because Lightning calls these last: what is reported is on the disk by then.

    Args:
        trial: the trial that this process is running.
        history: the epochs' metrics; part of the checkpoint, so that a resumed trial reports what
            it had trained and not yet reported, and nothing twice.
        checkpoint: returns the newest checkpoint, or None in a training without any.
    """

    def __init__(
        self, trial: Trial, history: History, checkpoint: Callable[[], Path | None]
    ) -> None:
        self.trial = trial
        self.history = history
        self.checkpoint = checkpoint
        self._configured: list[list[dict[str, Any]]] = []

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note what the configuration wants of the optimizers, before a checkpoint is loaded."""
        self._configured = [
            [{key: value for key, value in group.items() if key != "params"} for group in groups]
            for groups in (optimizer.param_groups for optimizer in trainer.optimizers)
        ]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Report what an earlier attempt could not, and apply values that have changed."""
        if self.trial.changed:
            # The weights and moments are another trial's; the values are this one's own.
            for optimizer, groups in zip(trainer.optimizers, self._configured, strict=True):
                for group, configured in zip(optimizer.param_groups, groups, strict=True):
                    group.update(configured)
            for config in trainer.lr_scheduler_configs:
                rates = [group["initial_lr"] for group in config.scheduler.optimizer.param_groups]
                config.scheduler.base_lrs = rates
        self._report(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Report the epoch."""
        self._report(trainer)

    def _report(self, trainer: pl.Trainer) -> None:
        for metrics in self.history.epochs[self.trial.step :]:
            if not self.trial.report(metrics, checkpoint=self.checkpoint()):
                trainer.should_stop = True
                return
