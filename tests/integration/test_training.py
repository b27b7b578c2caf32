"""The main job from synthetic digits to a registered version, and what is left when it fails."""

from __future__ import annotations

import functools
import json
import os
import signal

import numpy as np
import pytest
import pytorch_lightning as pl
import safetensors.torch
import torch
from pytorch_lightning.callbacks import EMAWeightAveraging, ModelCheckpoint

from digits.contract.manifest import verify
from digits.data.augmentation import Augmentation
from digits.data.loading import DigitDataModule
from digits.errors import DataError, ExportError
from digits.evaluation.metrics import report
from digits.models.classifier import DigitClassifier
from digits.models.networks import Cnn
from digits.models.objective import Supervised
from digits.tasks import finish
from digits.tasks import train as task
from digits.tracking.store import Tracking
from digits.training import schedules
from digits.training.export import onnx_answers

EPOCHS = 3


class Source:
    """Gives the synthetic digits."""

    def __init__(self, digits):
        self.digits = digits

    def load(self):
        return self.digits


class Terminated(pl.Callback):
    """Sends SIGTERM to this process in the second epoch."""

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if (trainer.current_epoch, batch_idx) == (1, 0):
            os.kill(os.getpid(), signal.SIGTERM)


class Diverge(pl.Callback):
    """Breaks the weights in the end."""

    def on_train_end(self, trainer, pl_module):
        with torch.no_grad():
            next(pl_module.parameters()).fill_(np.nan)


@pytest.fixture
def job(digits, record, store):
    """Run the main job as a small one, with further callbacks."""

    def run(resume=None, **callbacks):
        torch.manual_seed(0)
        checkpoint = ModelCheckpoint(
            dirpath=record.folder / "checkpoints",
            filename="last",
            enable_version_counter=False,
            save_on_train_epoch_end=True,
        )
        classifier = DigitClassifier(
            Cnn([4, 8], depth=1, dropout=0.1),
            objective=Supervised(),
            optimizer=functools.partial(torch.optim.Adam, lr=0.01),
            scheduler=schedules.constant,
        )
        return task.train(
            record,
            source=Source(digits),
            loaders=functools.partial(
                DigitDataModule,
                augmentation=Augmentation({}),
                batch_size=64,
                num_workers=0,
                seed=0,
            ),
            classifier=classifier,
            trainer=functools.partial(pl.Trainer, max_epochs=EPOCHS, accelerator="cpu", devices=1),
            callbacks={"checkpoint": checkpoint, **callbacks},
            tracking=Tracking(uri=store),
            resume=resume,
        )

    return run


@pytest.fixture
def tracked(store, record):
    """The run of this job, and the client that sees it."""

    def find():
        client = Tracking(uri=store).client()
        return client, client.get_run(record.run_id())

    return find


def versions(client):
    return client.search_model_versions("name='digits'")


def test_whole_job_leaves_a_tracked_run_and_a_version(job, tracked, record, digits, capsys):
    averaging = EMAWeightAveraging(decay=0.5)
    accuracy = job(averaging=averaging)
    client, run = tracked()
    assert run.info.status == "FINISHED"
    metrics = run.data.metrics
    assert accuracy == metrics["validation/accuracy"]
    history = client.get_metric_history(run.info.run_id, "train/loss")
    assert [entry.step for entry in history] == [1, 2, 3]
    final = json.loads(record.metrics_file.read_text())
    assert final["test/accuracy"] == metrics["test/accuracy"]
    assert (metrics["onnx/disagreements"], 0 < metrics["fit/seconds"] < 100) == (0, True)
    artifacts = {
        file.path
        for folder in ("", "figures", "bundle", "checkpoints")
        for file in client.list_artifacts(run.info.run_id, folder or None)
    }
    assert artifacts >= {
        "config.yaml",
        "figures/curves.png",
        "figures/confusion_matrix.png",
        "figures/worst_mistakes.png",
        "checkpoints/last.ckpt",
        "bundle/manifest.json",
        "bundle/model.onnx",
        "bundle/weights.safetensors",
    }
    (version,) = versions(client)
    assert version.aliases == ["challenger"] or client.get_model_version_by_alias(
        "digits", "challenger"
    )
    manifest = verify(record.folder / "bundle")
    assert version.tags["data_digest"] == manifest.data_digest == digits.digest
    judged = report(
        onnx_answers(record.folder / "bundle" / "model.onnx", digits.test.images),
        digits.test.labels,
    )
    assert judged.accuracy == manifest.metrics["test/accuracy"]
    # The averaged weights are the ones that were tested, exported and stored.
    exported = safetensors.torch.load_file(record.folder / "bundle" / "weights.safetensors")
    averaged = averaging._average_model.module.network.state_dict()
    assert all(torch.equal(value, averaged[name]) for name, value in exported.items())
    assert "digits version 1" in capsys.readouterr().out


def test_terminated_job_is_killed_and_goes_on_in_the_same_run(job, tracked):
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)  # Lightning alone answers it
    try:
        with pytest.raises(SystemExit):
            job(terminated=Terminated())
    finally:
        signal.signal(signal.SIGTERM, before)
    client, run = tracked()
    assert run.info.status == "KILLED"
    assert versions(client) == []
    job(resume="yes")
    client, again = tracked()
    assert (again.info.run_id, again.info.status) == (run.info.run_id, "FINISHED")
    history = client.get_metric_history(run.info.run_id, "train/loss")
    assert [entry.step for entry in history] == [1, 2, 3]
    assert len(versions(client)) == 1


def test_diverged_job_fails_with_its_reason_and_no_version(job, tracked, record):
    with pytest.raises(DataError, match="diverged"):
        job(diverge=Diverge())
    client, run = tracked()
    assert run.info.status == "FAILED"
    assert run.data.tags["digits.error"].startswith("DataError: the network answers with NaN")
    assert versions(client) == []
    assert not (record.folder / "bundle").exists()


def test_graph_that_differs_is_not_registered(job, tracked, record, monkeypatch):
    real = finish.onnx_answers
    monkeypatch.setattr(finish, "onnx_answers", lambda file, images: real(file, images) + 1)
    with pytest.raises(ExportError, match="Nothing was registered"):
        job()
    client, run = tracked()
    assert run.info.status == "FAILED"
    assert versions(client) == []
    assert not (record.folder / "bundle").exists()
    assert not client.list_artifacts(run.info.run_id, "bundle")
