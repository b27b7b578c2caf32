"""Fitting on a tiny synthetic set: what is measured, and what is left."""

from __future__ import annotations

import functools
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from digits.data.augmentation import Augmentation
from digits.data.loading import DigitDataModule
from digits.data.types import Digits, Split
from digits.errors import ConfigError
from digits.models.classifier import DigitClassifier
from digits.models.objective import Supervised
from digits.training import schedules
from digits.training.callbacks import History
from digits.training.fit import answers, fit
from tests.unit.fitting import classifier, ema, same, trained


def test_averaged_weights_are_what_is_left(digits, tmp_path):
    plain, *_ = trained(digits, tmp_path / "a", max_epochs=1)
    averaging = ema()
    averaged, *_ = trained(digits, tmp_path / "b", max_epochs=1, callbacks=[averaging])
    assert not same(plain, averaged)
    assert same(averaging._average_model.module, averaged)


def test_history_is_what_was_measured(digits, tmp_path):
    model, _, fitted = trained(digits, tmp_path, max_epochs=12)
    rows = fitted.epochs
    assert len(rows) == 12
    assert rows[-1]["train/loss"] < rows[0]["train/loss"]
    logits = torch.from_numpy(answers(model, digits.validation.images))
    labels = torch.from_numpy(digits.validation.labels)
    loss = float(nn.functional.cross_entropy(logits, labels))
    accuracy = float((logits.argmax(1) == labels).float().mean())
    assert rows[-1]["validation/loss"] == pytest.approx(loss, rel=1e-4)
    assert rows[-1]["validation/accuracy"] == pytest.approx(accuracy, abs=1e-6)
    assert accuracy > 0.5
    assert all(0 <= row["train/accuracy"] <= 1 for row in rows)
    assert 0 <= fitted.waiting < 1


def test_training_loss_is_the_mean_over_images_also_with_accumulation(digits, tmp_path):
    frozen = functools.partial(torch.optim.SGD, lr=1e-12)
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    model = DigitClassifier(
        network, objective=Supervised(), optimizer=frozen, scheduler=schedules.constant
    )
    plain = Digits("d", "d", digits.train, digits.validation, digits.test)
    data = DigitDataModule(
        plain, augmentation=Augmentation({}), batch_size=64, num_workers=0, seed=0
    )
    history = History(lambda metrics, epoch: None)
    trainer = functools.partial(
        pl.Trainer, max_epochs=1, accelerator="cpu", accumulate_grad_batches=3
    )
    fit(model, data, trainer=trainer, callbacks=[], history=history, folder=tmp_path)
    logits = torch.from_numpy(answers(model, digits.train.images))
    labels = torch.from_numpy(digits.train.labels)
    expected = float(nn.functional.cross_entropy(logits, labels))
    assert history.epochs[0]["train/loss"] == pytest.approx(expected, rel=1e-4)
    right = float((logits.argmax(1) == labels).float().mean())
    assert history.epochs[0]["train/accuracy"] == pytest.approx(right, abs=1e-6)


def test_no_validation_split(digits, tmp_path):
    empty = Split(np.zeros((0, 28, 28), np.uint8), np.zeros(0, np.int64))
    small = Digits("d", "d", digits.train, empty, digits.test)
    _, history, _ = trained(small, tmp_path, max_epochs=1)
    assert not [name for name in history.epochs[0] if name.startswith("validation")]


def test_without_checkpoint_callback_nothing_is_written(digits, tmp_path):
    _, _, fitted = trained(digits, tmp_path, max_epochs=1, keep=False)
    assert fitted.checkpoint is None
    assert not list(tmp_path.iterdir())


def test_debug_trainer_of_three_batches(digits, tmp_path):
    _, history, _ = trained(
        digits, tmp_path, max_epochs=1, limit_train_batches=3, limit_val_batches=2
    )
    assert len(history.epochs) == 1


def test_endless_training_is_a_finding(digits, tmp_path):
    with pytest.raises(ConfigError, match=r"trainer\.max_epochs"):
        trained(digits, tmp_path, max_epochs=-1)


def test_other_precision_leaves_float32_behind(digits, tmp_path):
    model, *_ = trained(digits, tmp_path, max_epochs=1, precision="bf16-true")
    assert {weights.dtype for weights in model.parameters()} == {torch.float32}
    assert answers(model, digits.test.images).dtype == np.float32


def test_training_in_another_thread(digits, tmp_path):
    done = []
    worker = threading.Thread(
        target=lambda: done.append(trained(digits, tmp_path, max_epochs=1, keep=False))
    )
    worker.start()
    worker.join(60)
    assert len(done) == 1


def test_waiting_for_slow_data_is_measured(digits, tmp_path):
    def slow(images, keys):
        time.sleep(0.1)
        return images

    _, _, fitted = trained(digits, tmp_path, max_epochs=1, keep=False, augmentation=slow)
    assert 0.4 < fitted.waiting < 1


def test_answers_are_those_of_evaluation_mode_and_leave_the_mode(digits):
    model = classifier().train()
    first = answers(model, digits.test.images, batch=7)
    second = answers(model, digits.test.images)
    np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-5)
    assert model.training
    assert SimpleNamespace(shape=first.shape, dtype=first.dtype) == SimpleNamespace(
        shape=(80, 10), dtype=np.float32
    )
