"""The one LightningModule: any network, any objective, any optimizer and schedule."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from math import ceil, isfinite
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from digits.contract.preprocessing import Preprocessing
from digits.errors import ConfigError, Finding
from digits.models.objective import Objective

MakeOptimizer = Callable[[Iterable[nn.Parameter]], Optimizer]
MakeScheduler = Callable[..., LRScheduler]


class DigitClassifier(pl.LightningModule):
    """Pixels in, logits out; standardisation is inside, so nobody can forget it.

    Args:
        network: float32 ``[N, 1, 28, 28]``, standardised -> logits ``[N, 10]``.
        objective: one batch -> (loss, logits).
        optimizer: parameters -> optimizer.
        scheduler: (optimizer, total_steps=, steps_per_epoch=) -> schedule, stepped per batch; one
            that does not take the two counts is called without them.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        objective: Objective,
        optimizer: MakeOptimizer,
        scheduler: MakeScheduler,
    ) -> None:
        super().__init__()
        # Convolutions on a CPU are fastest when channels lie next to each other.
        # (The stubs of `to` do not know memory_format.)
        self.network: nn.Module = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.objective = objective
        self.make_optimizer = optimizer
        self.make_scheduler = scheduler
        self.standard = Preprocessing()
        self._cuda_rng: Tensor | None = None

    def on_fit_start(self) -> None:
        """Show the objective what there is to learn from beside the batches."""
        self.objective.begin(self.network, self.trainer.datamodule.data.unlabelled)  # type: ignore[attr-defined]

    def forward(self, pixels: Tensor) -> Tensor:
        """Classify ``[N, 28, 28]`` of uint8, or float32 in 0..255; logits ``[N, 10]``."""
        mean, std = self.standard.mean, self.standard.std
        images = (pixels * (1 / (255 * std))).sub_(mean / std).unsqueeze(1)
        # The weights' own type: trainer.precision=bf16-true gives them another one.
        return self.network(images.to(next(self.parameters()).dtype))

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> dict[str, Tensor]:
        """Learn from one batch; ``loss`` for Lightning, the batch's sums for whoever counts.

        Lightning divides the ``loss`` it passes on by the number of accumulated batches.
        """
        pixels, labels = batch
        loss, logits = self.objective(self, pixels, labels)
        correct = (logits.detach().argmax(1) == labels).sum()
        return {"loss": loss, "loss_sum": loss.detach() * len(labels), "correct": correct}

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Log ``validation/loss`` (mean negative log-likelihood) and ``validation/accuracy``."""
        pixels, labels = batch
        logits = self(pixels)
        loss = functional.cross_entropy(logits, labels)
        accuracy = (logits.argmax(1) == labels).float().mean()
        values = {"validation/loss": loss, "validation/accuracy": accuracy}
        self.log_dict(values, batch_size=len(labels), sync_dist=True)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Build the optimizer and its schedule over all steps of this training.

        Raises:
            ConfigError: the training has no end that a schedule could lead to.
        """
        steps = self.trainer.estimated_stepping_batches
        if not isfinite(steps):
            message = "a schedule needs an end: set the number of epochs"
            raise ConfigError([Finding("trainer.max_epochs", message)])
        batches = self.trainer.num_training_batches / self.trainer.accumulate_grad_batches
        optimizer = self.make_optimizer(self.parameters())
        known = {"total_steps": int(steps), "steps_per_epoch": max(1, ceil(batches))}
        taken = inspect.signature(self.make_scheduler).parameters
        schedule = self.make_scheduler(
            optimizer, **{name: count for name, count in known.items() if name in taken}
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the random state, so that a resumed run draws what the undisturbed one would."""
        checkpoint["objective"] = self.objective.state_dict()
        checkpoint["torch_rng"] = torch.get_rng_state()
        if self.device.type == "cuda":
            checkpoint["cuda_rng"] = torch.cuda.get_rng_state(self.device)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Continue the stream of random numbers that the checkpoint was taken in."""
        self.objective.load_state_dict(checkpoint.get("objective", {}))
        torch.set_rng_state(checkpoint["torch_rng"])
        self._cuda_rng = checkpoint.get("cuda_rng")

    def on_train_start(self) -> None:
        """Continue the GPU's stream too: a checkpoint is loaded before the device is chosen."""
        if self._cuda_rng is not None and self.device.type == "cuda":
            torch.cuda.set_rng_state(self._cuda_rng, self.device)
        self._cuda_rng = None
