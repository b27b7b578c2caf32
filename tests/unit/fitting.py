"""What the tests of fitting share: a small network, trained on the synthetic digits."""

from __future__ import annotations

import functools

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EMAWeightAveraging, ModelCheckpoint

from digits.data.loading import DigitDataModule
from digits.models.classifier import DigitClassifier
from digits.models.networks import Cnn
from digits.models.objective import Supervised
from digits.training import schedules
from digits.training.callbacks import History
from digits.training.fit import fit

ONE_CYCLE = functools.partial(
    schedules.one_cycle, warmup_fraction=0.25, start_factor=0.1, final_factor=0.001
)


def shifted(images, keys):
    """A quick augmentation of its keys: a shift."""
    return np.stack(
        [
            np.roll(image, np.random.default_rng(key).integers(-1, 2, 2), (0, 1))
            for image, key in zip(images, keys, strict=True)
        ]
    )


def classifier(scheduler=ONE_CYCLE, network=None):
    torch.manual_seed(1)
    return DigitClassifier(
        network or Cnn([4, 8], depth=1, dropout=0.3),
        objective=Supervised(),
        optimizer=functools.partial(torch.optim.Adam, lr=0.01),
        scheduler=scheduler,
    )


def checkpoint(folder):
    return ModelCheckpoint(
        dirpath=folder / "checkpoints",
        filename="last",
        save_top_k=1,
        enable_version_counter=False,
        save_on_train_epoch_end=True,
    )


def trained(
    digits,
    folder,
    *,
    augmentation=shifted,
    callbacks=(),
    workers=0,
    resume=False,
    model=None,
    keep=True,
    **trainer,
):
    """Fit a small network; return (classifier, history, what fit returned)."""
    options = {"max_epochs": 4, "accelerator": "cpu", "devices": 1} | trainer
    model = model or classifier()
    history = History(lambda metrics, epoch: None)
    data = DigitDataModule(
        digits, augmentation=augmentation, batch_size=64, num_workers=workers, seed=9
    )
    fitted = fit(
        model,
        data,
        trainer=functools.partial(pl.Trainer, **options),
        callbacks=[*([checkpoint(folder)] if keep else []), *callbacks],
        history=history,
        folder=folder,
        resume=resume,
    )
    return model, history, fitted


class Stop(pl.Callback):
    """Breaks the training off in a given epoch, before its second step."""

    def __init__(self, epoch, action):
        self.epoch = epoch
        self.action = action

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if (trainer.current_epoch, batch_idx) == (self.epoch, 1):
            self.action()


def same(one, other):
    first, second = one.state_dict(), other.state_dict()
    return all(torch.equal(first[name], second[name]) for name in first)


def ema():
    return EMAWeightAveraging(decay=0.8)
