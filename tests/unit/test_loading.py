"""The loaders: reproducible whatever prepares the batches, and complete."""

from __future__ import annotations

import multiprocessing

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from digits.data import loading
from digits.data.epochs import EpochSampler
from digits.data.loading import DigitDataModule
from digits.data.types import Digits, Split
from digits.errors import DataError


def key_as_pixels(images, keys):
    """An augmentation that shows its keys: seed, epoch and index, in three pixels."""
    images = images.astype(np.float32)
    images[:, 0, :3] = np.array(keys)
    return torch.from_numpy(images)


def module(digits, augmentation=key_as_pixels, batch_size=64, num_workers=0, seed=5):
    return DigitDataModule(
        digits,
        augmentation=augmentation,
        batch_size=batch_size,
        num_workers=num_workers,
        seed=seed,
    )


def epoch_of(loader, epoch):
    loader.sampler.set_epoch(epoch)
    batches = list(loader)
    return torch.cat([pixels for pixels, _ in batches]), torch.cat([label for _, label in batches])


@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")  # on one core
@pytest.mark.parametrize(("num_workers", "batch_size"), [(0, 7), (1, 64), (2, 64), (2, 300)])
def test_workers_and_batch_size_change_nothing(digits, num_workers, batch_size):
    plain, varied = (
        module(digits).train_dataloader(),
        module(digits, batch_size=batch_size, num_workers=num_workers).train_dataloader(),
    )
    for epoch in (0, 1, 2):  # the workers live on, and still learn the epoch
        expected, labels = epoch_of(plain, epoch)
        pixels, same = epoch_of(varied, epoch)
        assert torch.equal(expected, pixels)
        assert torch.equal(labels, same)
        assert (pixels[:, 0, 1] == epoch).all()


def test_every_image_comes_once_per_epoch_with_its_label(digits):
    pixels, labels = epoch_of(module(digits).train_dataloader(), 3)
    indices = pixels[:, 0, 2].long().numpy()
    assert sorted(indices) == list(range(300))
    assert np.array_equal(labels.numpy(), digits.train.labels[indices])
    assert np.array_equal(pixels[:, 1:].numpy(), digits.train.images[indices][:, 1:])


def test_an_epoch_of_few_images_goes_through_them_again_each_augmented_anew(digits):
    few = Digits("few", "", digits.train.take(np.arange(30)), digits.validation, digits.test)
    loader = DigitDataModule(
        few, augmentation=key_as_pixels, batch_size=64, num_workers=0, seed=5, epoch_size=100
    ).train_dataloader()
    pixels, labels = epoch_of(loader, 0)
    indices = pixels[:, 0, 2].long().numpy()
    assert sorted(indices) == list(range(100))  # a key of its own for each
    assert np.array_equal(labels.numpy(), few.train.labels[indices % 30])
    assert np.array_equal(pixels[:, 1:].numpy(), few.train.images[indices % 30][:, 1:])


def test_an_epoch_of_many_images_stays_as_it_is(digits):
    many = DigitDataModule(
        digits, augmentation=key_as_pixels, batch_size=64, num_workers=0, seed=5, epoch_size=100
    )
    assert len(epoch_of(many.train_dataloader(), 0)[1]) == 300


def test_order_changes_with_epoch_and_seed(digits):
    loader = module(digits).train_dataloader()
    orders = [epoch_of(loader, epoch)[0][:, 0, 2].tolist() for epoch in (0, 1)]
    orders.append(epoch_of(module(digits, seed=6).train_dataloader(), 0)[0][:, 0, 2].tolist())
    assert orders[0] != orders[1]
    assert orders[0] != orders[2]
    assert orders[0] != list(range(300))


def test_resumed_loader_gives_the_order_of_its_epoch(digits):
    through = module(digits).train_dataloader()
    for epoch in (0, 1):
        epoch_of(through, epoch)
    later = module(digits, num_workers=1).train_dataloader()
    assert torch.equal(epoch_of(through, 2)[0], epoch_of(later, 2)[0])


@pytest.mark.parametrize("num_workers", [0, 1])
def test_loader_started_before_its_epoch_was_known_starts_again(digits, num_workers):
    loader = module(digits, num_workers=num_workers).train_dataloader()
    started = iter(loader)
    loader.sampler.set_epoch(2)
    pixels = torch.cat([pixels for pixels, _ in started])
    assert torch.equal(pixels, epoch_of(module(digits).train_dataloader(), 2)[0])


def test_last_smaller_batch_is_kept(digits):
    sizes = [len(labels) for _, labels in module(digits).train_dataloader()]
    assert sizes == [64, 64, 64, 64, 44]


def test_global_random_numbers_are_left_alone(digits):
    data = module(digits)
    state = torch.get_rng_state()
    for loader in (data.train_dataloader(), data.val_dataloader()):
        list(loader)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("size", [10, 11])
def test_processes_share_the_same_permutation(monkeypatch, size):
    shares = []
    for rank in (0, 1):
        monkeypatch.setattr(EpochSampler, "_process", staticmethod(lambda rank=rank: (rank, 2)))
        sampler = EpochSampler(size, seed=1)
        sampler.set_epoch(4)
        shares.append([index for _, index in sampler])
        assert len(sampler) == len(shares[-1]) == (size + 1) // 2
    everything = shares[0] + shares[1]
    assert set(everything) == set(range(size))
    assert len(everything) - size == size % 2  # disjoint, but for the filling up
    monkeypatch.undo()
    alone = EpochSampler(size, seed=1)
    alone.set_epoch(4)
    assert [index for _, index in alone][:2] == [shares[0][0], shares[1][0]]


def test_pixels_of_an_array_augmentation_stay_uint8(digits):
    pixels, labels = next(iter(module(digits, lambda images, keys: images).train_dataloader()))
    assert (pixels.dtype, labels.dtype, pixels.shape) == (torch.uint8, torch.int64, (64, 28, 28))


def test_single_sample_agrees_with_its_batch(digits):
    dataset = module(digits).train_dataloader().dataset
    pixels, labels = dataset.__getitems__([(1, 7), (1, 8)])
    one, label = dataset[(1, 8)]
    assert torch.equal(one, pixels[1])
    assert label == labels[1]


def test_evaluation_is_in_order_and_as_it_is(digits, monkeypatch):
    monkeypatch.setattr(loading.WholeBatches.__init__, "__defaults__", (32,))
    split = digits.validation
    batches = list(module(digits).val_dataloader())
    assert len(batches) == -(-len(split) // 32)
    assert np.array_equal(torch.cat([pixels for pixels, _ in batches]).numpy(), split.images)
    assert np.array_equal(torch.cat([labels for _, labels in batches]).numpy(), split.labels)


def blank(count):
    return Split(np.zeros((count, 28, 28), np.uint8), np.zeros(count, np.int64))


def test_empty_validation_has_no_loader(digits):
    assert module(Digits("d", "d", digits.train, blank(0), digits.test)).val_dataloader() == []


@pytest.mark.parametrize("count", [0, 1])
def test_training_split_too_small_to_learn_from_is_refused(digits, count):
    with pytest.raises(DataError, match=f"d: the training split has {count} samples"):
        module(Digits("d", "d", blank(count), digits.validation, digits.test))


@pytest.mark.parametrize("num_workers", [0, 1])
def test_last_batch_is_never_of_one(digits, num_workers):
    loader = module(digits, batch_size=23, num_workers=num_workers).train_dataloader()
    sizes = [len(labels) for _, labels in loader]
    assert sizes == [23] * 12 + [24]
    assert len(loader) == 13


@pytest.mark.parametrize(
    ("count", "batch_size", "sizes"), [(2, 64, [2]), (3, 2, [3]), (4, 2, [2, 2]), (64, 64, [64])]
)
def test_small_splits_are_cut_into_whole_batches(digits, count, batch_size, sizes):
    data = Digits("d", "d", digits.train.take(np.arange(count)), digits.validation, digits.test)
    loader = module(data, batch_size=batch_size).train_dataloader()
    assert [len(labels) for _, labels in loader] == sizes
    assert len(loader) == len(sizes)


class Learner(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.workers = 0

    def training_step(self, batch, batch_idx):
        self.workers = max(self.workers, len(multiprocessing.active_children()))
        return (self.weight * batch[0].mean()).sum()

    def validation_step(self, batch, batch_idx):
        pass

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.")
@pytest.mark.filterwarnings("ignore:The number of training batches")
@pytest.mark.filterwarnings("ignore:.*does not have many workers")
def test_no_worker_outlives_the_training(digits, tmp_path):
    before = set(multiprocessing.active_children())
    data, learner = module(digits, num_workers=1), Learner()
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=2,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(learner, datamodule=data)
    assert learner.workers > len(before)
    assert set(multiprocessing.active_children()) == before


def test_closed_loader_starts_again(digits):
    loader = module(digits, num_workers=1).train_dataloader()
    first = epoch_of(loader, 0)[0]
    loader.close()
    assert torch.equal(epoch_of(loader, 0)[0], first)
