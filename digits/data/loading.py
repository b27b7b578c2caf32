"""The Lightning data module: batches of digits, augmented while the previous step trains."""

from __future__ import annotations

from math import ceil
from typing import Annotated

import numpy as np
import pytorch_lightning as pl
import torch
from pydantic import Field
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from digits.data.epochs import EpochLoader, EpochSampler
from digits.data.types import Augment, Digits, Split
from digits.errors import DataError

Batch = tuple[Tensor, Tensor]
EVALUATION_BATCH = 1000


class AugmentedDigits(Dataset[Batch]):
    """A split that is asked for whole batches, by (epoch, index) pairs."""

    def __init__(self, split: Split, augment: Augment, *, seed: int) -> None:
        self.split = split
        self.augment = augment
        self.seed = seed

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, pair: tuple[int, int]) -> Batch:
        pixels, labels = self.__getitems__([pair])
        return pixels[0], labels[0]

    def __getitems__(self, pairs: list[tuple[int, int]]) -> Batch:
        indices = np.array([index for _, index in pairs])
        keys = [(self.seed, epoch, index) for epoch, index in pairs]
        return (
            torch.as_tensor(self.augment(self.split.images[indices], keys)),
            torch.from_numpy(self.split.labels[indices]),
        )


class WholeBatches(Dataset[Batch]):
    """A split cut into consecutive batches once: evaluation needs neither order nor workers."""

    def __init__(self, split: Split, size: int = EVALUATION_BATCH) -> None:
        self.split = split
        self.size = size

    def __len__(self) -> int:
        return ceil(len(self.split) / self.size)

    def __getitem__(self, batch: int) -> Batch:
        if not 0 <= batch < len(self):
            raise IndexError(batch)
        part = slice(batch * self.size, (batch + 1) * self.size)
        return torch.from_numpy(self.split.images[part]), torch.from_numpy(self.split.labels[part])


class DigitDataModule(pl.LightningDataModule):
    """Loaders over the splits of one data set.

    Batches are (pixels ``[B, 28, 28]`` uint8, or float32 in 0..255 from a batched augmentation;
    labels int64 ``[B]``). With workers, batches ahead are prepared while the model trains.

    Args:
        data: the splits.
        augmentation: what each training batch goes through.
        batch_size: training samples per step and process; a sample that is left over joins the
            last batch.
        num_workers: loader processes; 0 prepares each batch between two steps.
        seed: order and augmentation derive from it, the epoch and the index alone.
        epoch_size: an epoch has so many images at the least: a smaller training split is gone
            through again and again, augmented anew each time. None: once.

    Raises:
        DataError: there are fewer than two samples to train on.
    """

    def __init__(
        self,
        data: Digits,
        *,
        augmentation: Augment,
        batch_size: Annotated[int, Field(ge=2)],
        num_workers: Annotated[int, Field(ge=0)],
        seed: Annotated[int, Field(ge=0, lt=2**32)],
        epoch_size: Annotated[int | None, Field(ge=2)] = None,
    ) -> None:
        super().__init__()
        if len(data.train) < 2:
            raise DataError(
                f"{data.name}: the training split has {len(data.train)} samples, and training "
                f"needs at least 2: add images, or lower the share of validation and test"
            )
        self.data = data
        self.augmentation = augmentation
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.seed = seed
        self.epoch_size = epoch_size
        self._training: EpochLoader[Batch] | None = None

    def train_dataloader(self) -> EpochLoader[Batch]:
        """Shuffled, augmented batches; the last, smaller one is kept."""
        split = self.data.train
        if self.epoch_size is not None and len(split) < self.epoch_size:
            split = split.take(np.resize(np.arange(len(split)), self.epoch_size))
        self._training = EpochLoader(
            AugmentedDigits(split, self.augmentation, seed=self.seed),
            EpochSampler(len(split), seed=self.seed),
            batch_size=self.batch_size,
            num_workers=self.num_workers,
        )
        return self._training

    def teardown(self, stage: str) -> None:
        """End the workers with the training: they have batches of an epoch that never comes."""
        if stage == "fit" and self._training is not None:
            self._training.close()

    def val_dataloader(self) -> DataLoader[Batch] | list[DataLoader[Batch]]:
        """The validation split in order, as it is; no loader for an empty one."""
        if not len(self.data.validation):
            return []
        # A loader draws a seed even without workers, and not from the training's random numbers.
        generator = torch.Generator().manual_seed(self.seed)
        return DataLoader(WholeBatches(self.data.validation), batch_size=None, generator=generator)
