"""What the run and the person in front of it are told."""

from __future__ import annotations

import io
import time
from types import SimpleNamespace

import pytest
import torch
from rich.console import Console

from digits.training import callbacks
from digits.training.callbacks import History, TrainingProgress, Waiting, in_words

METRICS = {"train/loss": 0.51234, "train/accuracy": 0.875, "train/images_per_second": 1234.5}
MODULE = SimpleNamespace(device=torch.device("cpu"))


class Trainer(SimpleNamespace):
    """As much of a trainer as the callbacks ask for."""

    def __init__(self, **values):
        defaults = {
            "is_global_zero": True,
            "current_epoch": 0,
            "max_epochs": 2,
            "global_step": 0,
            "estimated_stepping_batches": 6,
            "optimizers": [SimpleNamespace(param_groups=[{"lr": 0.25}])],
            "callback_metrics": {},
            "strategy": SimpleNamespace(reduce=lambda value, reduce_op: value),
        }
        super().__init__(**defaults | values)


def step(callback, trainer, size, loss, correct):
    outputs = {
        "loss": torch.tensor(loss) / 4,  # what Lightning leaves of it with accumulation
        "loss_sum": torch.tensor(loss) * size,
        "correct": torch.tensor(correct),
    }
    callback.on_train_batch_end(trainer, MODULE, outputs, (None, torch.zeros(size)), 0)


def test_epoch_without_validation_does_not_show_an_earlier_one():
    reported = []
    history = History(lambda metrics, epoch: reported.append(metrics))
    trainer = Trainer(callback_metrics={"validation/accuracy": torch.tensor(0.5)})
    for validates in (True, False):
        history.on_train_epoch_start(trainer, MODULE)
        step(history, trainer, size=6, loss=1.0, correct=3)
        if validates:
            history.on_validation_end(trainer, MODULE)
        history.on_train_epoch_end(trainer, MODULE)
    assert ["validation/accuracy" in metrics for metrics in reported] == [True, False]


def test_history_weights_batches_by_their_size():
    reported = []
    history = History(lambda metrics, epoch: reported.append((epoch, metrics)))
    trainer = Trainer(callback_metrics={"validation/accuracy": torch.tensor(0.5)})
    for epoch in (0, 1):
        trainer.current_epoch = epoch
        history.on_train_epoch_start(trainer, MODULE)
        step(history, trainer, size=6, loss=1.0, correct=3)
        step(history, trainer, size=2, loss=5.0, correct=2)
        history.on_validation_end(trainer, MODULE)
        history.on_train_epoch_end(trainer, MODULE)
    assert [epoch for epoch, _ in reported] == [1, 2]
    for _, metrics in reported:
        assert metrics["train/loss"] == pytest.approx(2.0)
        assert metrics["train/accuracy"] == pytest.approx(5 / 8)
        assert metrics["learning_rate"] == 0.25
        assert metrics["validation/accuracy"] == 0.5
    assert history.epochs == [metrics for _, metrics in reported]
    assert history.images == 16


def test_history_counts_every_process_and_reports_from_one():
    reported = []
    history = History(lambda metrics, epoch: reported.append(epoch))
    others = torch.tensor([10.0, 0.0, 2.0])  # loss, right, images
    strategy = SimpleNamespace(reduce=lambda value, reduce_op: value + others)
    trainer = Trainer(strategy=strategy, is_global_zero=False)
    history.on_train_epoch_start(trainer, MODULE)
    step(history, trainer, size=2, loss=1.0, correct=2)
    history.on_train_epoch_end(trainer, MODULE)
    assert history.epochs[0]["train/loss"] == pytest.approx(3.0)
    assert history.epochs[0]["train/accuracy"] == pytest.approx(0.5)
    assert reported == []


def test_rate_does_not_fall_while_validation_runs():
    history = History(lambda metrics, epoch: None)
    trainer = Trainer()
    history.on_train_epoch_start(trainer, MODULE)
    time.sleep(0.02)
    step(history, trainer, size=100, loss=1.0, correct=1)
    rate = history.images_per_second
    time.sleep(0.05)
    assert history.images_per_second == rate
    assert 100 < rate <= 5000


def test_resumed_history_has_the_epochs_and_seconds_before(monkeypatch):
    before = History(lambda metrics, epoch: None)
    before.epochs.append(dict(METRICS))
    before.images = 90
    after = History(lambda metrics, epoch: None)
    after.load_state_dict(before.state_dict() | {"seconds": 100.0})
    assert after.epochs == [METRICS]
    assert after.images == 90
    assert 100 <= after.seconds < 110


@pytest.mark.parametrize(
    ("metrics", "words"),
    [
        (METRICS, "loss 0.5123, accuracy 87.50%"),
        (METRICS | {"validation/accuracy": 0.5}, "loss 0.5123, accuracy 87.50%, validation 50.00%"),
    ],
)
def test_epoch_in_words(metrics, words):
    assert in_words(metrics) == words


def watched(console, caplog, **trainer):
    """A training of one epoch under the eyes of a progress display."""
    caplog.set_level("INFO", callbacks.__name__)
    history = History(lambda metrics, epoch: None)
    progress = TrainingProgress(history, console)
    trainer = Trainer(**trainer)
    progress.on_train_start(trainer, MODULE)
    history.on_train_epoch_start(trainer, MODULE)
    trainer.global_step = 3
    step(history, trainer, size=4, loss=1.0, correct=2)
    step(progress, trainer, size=4, loss=1.0, correct=2)
    history.on_train_epoch_end(trainer, MODULE)
    progress.on_train_epoch_end(trainer, MODULE)
    return progress, trainer


def test_plain_lines_off_a_terminal(caplog):
    out = io.StringIO()
    progress, trainer = watched(Console(file=out), caplog)
    progress.on_train_end(trainer, MODULE)
    assert out.getvalue() == ""
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("epoch 1/2: loss 1.0000, accuracy 50.00%, ")
    assert caplog.messages[0].endswith(" images/s")


def test_bar_on_a_terminal(caplog):
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=140)
    progress, trainer = watched(console, caplog)
    progress.on_train_end(trainer, MODULE)
    shown = out.getvalue()
    assert "epoch 1/2: loss 1.0000, accuracy 50.00%" in shown
    assert "50 %" in shown
    assert "images/s" in shown
    assert "eta" in shown
    assert caplog.messages == []


def test_bar_goes_away_when_the_training_fails(caplog):
    console = Console(file=io.StringIO(), force_terminal=True)
    progress, trainer = watched(console, caplog)
    progress.on_exception(trainer, MODULE, KeyboardInterrupt())
    again, _ = watched(console, caplog)  # rich refuses a second live display at a time
    again.on_train_end(trainer, MODULE)


def test_other_processes_are_silent(caplog):
    out = io.StringIO()
    watched(Console(file=out, force_terminal=True), caplog, is_global_zero=False)
    assert (out.getvalue(), caplog.messages) == ("", [])


def test_waiting_is_a_share_of_waiting_and_stepping(monkeypatch):
    clock = iter([0.0, 1.0, 1.0, 4.0])
    waiting = Waiting()
    assert waiting.share == 0
    monkeypatch.setattr(callbacks.time, "perf_counter", lambda: next(clock))
    for action in (Waiting.WAIT, Waiting.STEP):
        waiting.start(action)
        waiting.start("something else")
        waiting.stop("something else")
        waiting.stop(action)
    assert waiting.share == 0.25
