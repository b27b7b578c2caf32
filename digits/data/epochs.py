"""In which order samples are trained on, and a loader that prepares batches across epochs."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from itertools import count, pairwise
from math import ceil
from types import TracebackType
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

Pair = tuple[int, int]
Item = TypeVar("Item")

AHEAD = 8  # batches that each worker prepares before they are asked for


class EpochSampler(Sampler[Pair]):
    """A seeded permutation per epoch, as (epoch, index) pairs; each process gets its share.

    The epoch travels with every index, so that loader workers kept alive over epochs know it.
    Processes of a distributed run get equally many indices, the first ones repeated if need be.
    """

    def __init__(self, size: int, *, seed: int) -> None:
        self.size = size
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this at the start of each epoch, also of a resumed one."""
        self.epoch = epoch

    @staticmethod
    def _process() -> tuple[int, int]:
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            return torch.distributed.get_rank(), torch.distributed.get_world_size()
        return 0, 1

    def __len__(self) -> int:
        return ceil(self.size / self._process()[1])

    def __iter__(self) -> Iterator[Pair]:
        return iter(self.order(self.epoch))

    def order(self, epoch: int) -> list[Pair]:
        """Return this process's share of the permutation of ``epoch``."""
        rank, processes = self._process()
        permutation = np.random.default_rng((self.seed, epoch)).permutation(self.size)
        share = np.resize(permutation, len(self) * processes)[rank::processes]
        return [(epoch, index) for index in share.tolist()]


class _Onward(Sampler[list[Pair]]):
    """The batches of one epoch after the other, from ``epoch`` on, without end."""

    def __init__(self, sampler: EpochSampler, batch_size: int, epoch: int) -> None:
        self.sampler = sampler
        self.batch_size = batch_size
        self.epoch = epoch

    def __iter__(self) -> Iterator[list[Pair]]:
        for epoch in count(self.epoch):
            order = self.sampler.order(epoch)
            ends = [
                self.batch_size * batch for batch in range(1, _batches(len(order), self.batch_size))
            ]
            for start, end in pairwise([0, *ends, len(order)]):
                yield order[start:end]


def _batches(samples: int, batch_size: int) -> int:
    """Count the batches of an epoch.

    One sample that is left over joins the batch before it: batch normalisation cannot learn from
    a batch of one.
    """
    left_over = samples % batch_size
    return max(1, samples // batch_size + (left_over > 1))


class EpochLoader(Generic[Item]):
    """Batches of the sampler's epoch, the last, smaller one included; one of one joins the last.

    Workers do not stop where an epoch ends: while the model is validated they prepare the first
    batches of the next one. An epoch other than the next (a resumed run) starts them anew.

    Args:
        dataset: asked for whole batches (``__getitems__``) of (epoch, index) pairs.
        sampler: Lightning tells it the epoch.
        batch_size: samples per batch.
        num_workers: processes that prepare batches; 0 prepares each when it is asked for.
    """

    def __init__(
        self,
        dataset: Dataset[Item],
        sampler: EpochSampler,
        *,
        batch_size: int,
        num_workers: int,
    ) -> None:
        self.dataset = dataset
        self.sampler = sampler
        self.batch_size = batch_size
        self.num_workers = num_workers
        self._stream: Iterator[Item] | None = None
        self._next: int | None = None

    def __len__(self) -> int:
        return _batches(len(self.sampler), self.batch_size)

    def close(self) -> None:
        """End the workers; a later epoch starts new ones."""
        self._stream = None
        self._next = None

    def __iter__(self) -> Iterator[Item]:
        # Lightning asks for the iterator of a resumed epoch before it has told the sampler which
        # epoch that is; so nothing is decided until the first batch is asked for.
        epoch = self.sampler.epoch
        if self._stream is None or epoch != self._next:
            self._stream = self._start(epoch)
        self._next = None
        for batch in range(len(self)):
            item = next(self._stream)
            if batch == len(self) - 1:
                self._next = epoch + 1
            yield item

    def _start(self, epoch: int) -> Iterator[Item]:
        loader: DataLoader[Item] = DataLoader(
            self.dataset,
            batch_sampler=_Onward(self.sampler, self.batch_size, epoch),
            num_workers=self.num_workers,
            prefetch_factor=AHEAD if self.num_workers else None,
            collate_fn=_as_is,
            worker_init_fn=_end_with_the_trainer,
            # It draws a seed for the workers. From torch's global generator, a resumed run, which
            # starts it once more, would drop out other units ever after.
            generator=torch.Generator().manual_seed(self.sampler.seed),
        )
        return iter(loader)


def _as_is(batch: Any) -> Any:
    return batch


def _end_with_the_trainer(worker: int) -> None:
    """Let a worker end when its trainer does, silently, and not by the handlers it inherited."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole process group
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    sys.excepthook = _print_unless_trainer_left


def _print_unless_trainer_left(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Print what fails in a worker's thread, but for a trainer that left while being served.

    What a worker's dataset raises goes to the trainer; this is about the thread by which
    multiprocessing hands over tensors.
    """
    if not isinstance(error, (ConnectionError, EOFError)):
        sys.__excepthook__(kind, error, trace)
