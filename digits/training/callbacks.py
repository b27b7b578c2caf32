"""What watches a training: progress for people, metrics for the tracked run, time for both."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.profilers import Profiler
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

log = logging.getLogger(__name__)
Metrics = dict[str, float]


class History(pl.Callback):
    """Collect the metrics of every epoch and hand each epoch to ``report``.

    Keys: ``train/loss``, ``train/accuracy``, ``train/images_per_second``, ``learning_rate`` and
    what the module logs of the validation. The history is part of the checkpoint, so that a
    resumed run draws whole curves.

    Attributes:
        epochs: metrics of each epoch done.
        images: training images seen so far, over all epochs and processes.
        trained: whether there was anything left to train.

    Args:
        report: called with (metrics, epochs done) after each epoch, in the main process.
    """

    def __init__(self, report: Callable[[Mapping[str, float], int], None]) -> None:
        self.report = report
        self.epochs: list[Metrics] = []
        self.images = 0
        self.trained = False
        self._validated = False
        self._sums = torch.zeros(2)
        self._count = 0
        self._start = self._begin = time.perf_counter()
        self._last = self._start
        self._earlier = 0.0

    @property
    def images_per_second(self) -> float:
        """Training images per second of this process in the current epoch, until its last step."""
        return self._count / max(1e-9, self._last - self._start)

    @property
    def seconds(self) -> float:
        """Since ``fit`` began, with what a resumed run had taken up to its checkpoint."""
        return self._earlier + time.perf_counter() - self._begin

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Start the clock."""
        self._begin = time.perf_counter()

    def state_dict(self) -> dict[str, Any]:
        """The epochs so far, their images, and the seconds they took."""
        return {"epochs": self.epochs, "images": self.images, "seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from the epochs of a checkpoint."""
        self.epochs = list(state_dict["epochs"])
        self.images = int(state_dict["images"])
        self._earlier = float(state_dict["seconds"])

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the epoch's sums."""
        self.trained = True
        self._validated = False
        self._sums = torch.zeros(2, device=pl_module.device)
        self._count = 0
        self._start = self._last = time.perf_counter()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note that this epoch has figures of its own."""
        self._validated = True

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Add the batch: its loss weighted by its size, right answers, size."""
        self._sums += torch.stack([outputs["loss_sum"].float(), outputs["correct"].float()])
        self._count += len(batch[1])
        self._last = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Close the epoch over all processes; validation, where there is any, has just run."""
        count = torch.tensor([float(self._count)], device=self._sums.device)
        sums = trainer.strategy.reduce(torch.cat([self._sums, count]), reduce_op="sum")
        loss, correct, images = torch.as_tensor(sums).tolist()
        metrics = {
            "train/loss": loss / images,
            "train/accuracy": correct / images,
            "train/images_per_second": images / max(1e-9, self._last - self._start),
            "learning_rate": float(trainer.optimizers[0].param_groups[0]["lr"]),
        }
        if self._validated:  # otherwise Lightning still shows what an earlier epoch had
            metrics |= {name: float(value) for name, value in trainer.callback_metrics.items()}
        self.epochs.append(metrics)
        self.images += round(images)
        if trainer.is_global_zero:
            self.report(metrics, trainer.current_epoch + 1)


def in_words(metrics: Mapping[str, float]) -> str:
    """Return one epoch as a short line."""
    parts = [f"loss {metrics['train/loss']:.4f}", f"accuracy {metrics['train/accuracy']:.2%}"]
    if "validation/accuracy" in metrics:
        parts.append(f"validation {metrics['validation/accuracy']:.2%}")
    return ", ".join(parts)


class TrainingProgress(pl.Callback):
    """A bar over the whole training with rate and ETA on a terminal; a line per epoch elsewhere."""

    def __init__(self, history: History, console: Console | None = None) -> None:
        self.history = history
        self.console = console or Console(stderr=True)
        self._bar: Progress | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show the bar, from where a resumed training stands."""
        if not self.console.is_terminal or not trainer.is_global_zero:
            return
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:3.0f} % · {task.fields[rate]:,.0f} images/s"),
            TimeElapsedColumn(),
            TextColumn("eta"),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
        )
        total = int(trainer.estimated_stepping_batches)
        self._bar.add_task("training", total=total, completed=trainer.global_step, rate=0.0)
        self._bar.start()

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Move the bar."""
        if self._bar is not None:
            self._bar.update(
                self._bar.task_ids[0],
                completed=trainer.global_step,
                rate=self.history.images_per_second,
            )

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Say how the epoch went; on a terminal the bar carries the latest."""
        if not trainer.is_global_zero:
            return
        done, total = trainer.current_epoch + 1, trainer.max_epochs
        latest = self.history.epochs[-1]
        words = in_words(latest)
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], description=f"epoch {done}/{total}: {words}")
        else:
            rate = latest["train/images_per_second"]
            log.info("epoch %d/%s: %s, %s images/s", done, total, words, f"{rate:,.0f}")

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take the bar away."""
        self._stop()

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Take the bar away, so that the message stands alone."""
        self._stop()

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


class Waiting(Profiler):
    """Measure how long the training waits for its next batch.

    Lightning times its own phases through a profiler; this one keeps two sums and nothing else.
    """

    WAIT = "[_TrainingEpochLoop].train_dataloader_next"
    STEP = "run_training_batch"

    def __init__(self) -> None:
        super().__init__()
        self._begin: dict[str, float] = {}
        self.seconds = {self.WAIT: 0.0, self.STEP: 0.0}

    def start(self, action_name: str) -> None:
        """Note the time."""
        if action_name in self.seconds:
            self._begin[action_name] = time.perf_counter()

    def stop(self, action_name: str) -> None:
        """Add the time since ``start``."""
        if action_name in self._begin:
            self.seconds[action_name] += time.perf_counter() - self._begin.pop(action_name)

    @property
    def share(self) -> float:
        """Waiting, as a share of waiting and stepping together (0..1)."""
        total = sum(self.seconds.values())
        return self.seconds[self.WAIT] / total if total else 0.0
