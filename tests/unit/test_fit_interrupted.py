"""Fitting that is broken off: signals, checkpoints, resumption."""

from __future__ import annotations

import os
import signal

import pytest
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

from tests.unit.fitting import Stop, classifier, ema, same, trained


class PowerCutError(Exception):
    pass


def power_cut():
    raise PowerCutError


def untimed(history):
    return [
        {name: value for name, value in epoch.items() if name != "train/images_per_second"}
        for epoch in history.epochs
    ]


@pytest.mark.parametrize(
    ("workers", "averages"), [(0, False), (1, False), (0, True)], ids=["0", "1", "ema"]
)
def test_resumed_run_ends_as_the_undisturbed_one(digits, tmp_path, workers, averages):
    def extra():
        return [ema()] if averages else []

    whole, history, _ = trained(digits, tmp_path / "a", workers=workers, callbacks=extra())
    with pytest.raises(PowerCutError):
        trained(digits, tmp_path / "b", workers=workers, callbacks=[*extra(), Stop(2, power_cut)])
    torch.manual_seed(77)  # another process would have another state
    again = classifier()
    torch.manual_seed(78)
    resumed, after, fitted = trained(
        digits, tmp_path / "b", workers=workers, callbacks=extra(), resume=True, model=again
    )
    assert len(after.epochs) == 4
    assert fitted.images == 4 * 300
    assert untimed(after) == untimed(history)
    assert same(whole, resumed)
    assert fitted.checkpoint == tmp_path / "b" / "checkpoints" / "last.ckpt"


@pytest.mark.parametrize("averages", [False, True], ids=["plain", "ema"])
def test_resume_after_the_last_epoch_gives_the_finished_weights(digits, tmp_path, averages):
    def extra():
        return [ema()] if averages else []

    whole, _, first = trained(digits, tmp_path, callbacks=extra(), max_epochs=2)
    resumed, _, fitted = trained(digits, tmp_path, callbacks=extra(), max_epochs=2, resume=True)
    assert same(whole, resumed)
    assert fitted.epochs == first.epochs
    assert fitted.seconds >= 0.5 * first.seconds


def test_checkpoint_names_of_any_form_are_found(digits, tmp_path):
    every = ModelCheckpoint(dirpath=tmp_path / "c", filename="{epoch}", save_top_k=-1)
    _, _, fitted = trained(digits, tmp_path, max_epochs=3, keep=False, callbacks=[every])
    assert fitted.checkpoint == tmp_path / "c" / "epoch=2.ckpt"


def test_checkpoints_hold_no_pickled_code_and_are_written_whole(digits, tmp_path, monkeypatch):
    synced = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(1) or real(descriptor))
    _, _, fitted = trained(digits, tmp_path, max_epochs=2, callbacks=[ema()])
    assert len(synced) == 4  # each time the file and its folder
    assert [file.name for file in fitted.checkpoint.parent.iterdir()] == ["last.ckpt"]
    content = torch.load(fitted.checkpoint, weights_only=True)
    assert content["epoch"] == 1


def test_ctrl_c_comes_out_as_itself(digits, tmp_path):
    # A shell that runs the tests in the background has them ignore Ctrl-C.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    stop = Stop(1, lambda: os.kill(os.getpid(), signal.SIGINT))
    try:
        with pytest.raises(KeyboardInterrupt):
            trained(digits, tmp_path, callbacks=[stop])
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("code", [None, 143], ids=["Lightning's handler", "ours"])
def test_sigterm_is_an_exit_that_leaves_the_handlers(digits, tmp_path, code):
    def handler(number, frame):
        raise SystemExit(code)

    before = signal.signal(signal.SIGTERM, handler if code else signal.SIG_DFL)
    installed = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(SystemExit) as caught:
            trained(
                digits, tmp_path, callbacks=[Stop(1, lambda: os.kill(os.getpid(), signal.SIGTERM))]
            )
        assert signal.getsignal(signal.SIGTERM) is installed
    finally:
        signal.signal(signal.SIGTERM, before)
    if code:
        assert caught.value.code == code
