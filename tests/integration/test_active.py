"""`task=active`: a curve that is tracked, that goes on, and that stands beside the others."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
import re

import pytest
import pytorch_lightning as pl
from filelock import FileLock

from digits.active.pointwise import Margin, Random
from digits.data.labelled import read as read_labelled
from digits.data.loading import DigitDataModule
from digits.data.types import Digits, Split
from digits.errors import ConfigError, DataError, ResumeError
from digits.tasks.active import active
from digits.tracking.store import Tracking
from tests.unit.fitting import classifier, shifted


class Given:
    """A data source that delivers what it was given."""

    def __init__(self, digits):
        self.digits = digits

    def load(self):
        return self.digits


@pytest.fixture
def simulate(store, record, digits, tmp_path):
    """Call the task as the command line does, each time in a folder of its own."""
    numbers = itertools.count(1)

    def simulate(acquisition=None, *, seed=3, data=digits, **options):
        folder = tmp_path / "runs" / str(next(numbers))
        folder.mkdir()
        acquisition = acquisition or Margin()
        given = {"initial": 20, "per_round": 10, "until": 40, **options}
        parameters = {"acquisition._target_": type(acquisition).__name__, "seed": seed, **given}
        job = dataclasses.replace(
            record, folder=folder, task="active", parameters=parameters, seed=seed
        )
        job.config_file.write_text("seed: 3\n")
        loaders = functools.partial(
            DigitDataModule,
            augmentation=shifted,
            batch_size=32,
            num_workers=0,
            seed=seed,
            epoch_size=128,
        )
        accuracy = active(
            job,
            source=Given(data),
            loaders=loaders,
            classifier=classifier(),
            trainer=functools.partial(pl.Trainer, max_epochs=2, accelerator="cpu", devices=1),
            acquisition=acquisition,
            tracking=Tracking(uri=store),
            folder=str(tmp_path / "active"),
            **given,
        )
        return accuracy, job

    return simulate


def kept(tmp_path):
    return sorted((tmp_path / "active").rglob("*.json"))


def test_a_curve_is_tracked_drawn_and_shown(simulate, store, digits, capsys):
    accuracy, job = simulate()
    client = Tracking(uri=store).client()
    run = client.get_run(job.run_id())
    assert run.info.status == "FINISHED"
    history = client.get_metric_history(job.run_id(), "test/accuracy")
    assert [point.step for point in history] == [20, 30, 40]
    assert history[-1].value == accuracy == run.data.metrics["final/accuracy"]
    names = {item.path for item in client.list_artifacts(job.run_id())}
    assert {"labels.png", "labels.csv", "curve.json"} <= names
    assert json.loads(job.metrics_file.read_text())["final/accuracy"] == accuracy
    places = read_labelled(job.folder / "labelled.json", pool=digits.digest)
    assert len(places) == 40 and len(set(places.tolist())) == 40
    shown = capsys.readouterr().out
    assert "margin, seed 3" in shown and "to 95%" in shown and "task=select" in shown


def test_the_same_command_goes_on_where_a_killed_one_stopped(simulate, tmp_path, monkeypatch):
    from digits.active.simulation import Simulation

    rounds = Simulation._round

    def killed(self, labelled, count):
        if len(labelled) == 40:
            raise KeyboardInterrupt
        return rounds(self, labelled, count)

    monkeypatch.setattr(Simulation, "_round", killed)
    with pytest.raises(KeyboardInterrupt):
        simulate()
    (file,) = kept(tmp_path)
    before = json.loads(file.read_text())
    assert [each["labels"] for each in before["rounds"]] == [20, 30]
    monkeypatch.undo()
    simulate()
    after = json.loads(file.read_text())
    assert after["rounds"][:2] == before["rounds"]
    assert [each["labels"] for each in after["rounds"]] == [20, 30, 40]


def test_what_can_be_compared_stands_together_and_nothing_else(simulate, tmp_path, capsys):
    simulate()
    simulate(seed=4)
    simulate(Random(), until=30)
    assert len({file.parent for file in kept(tmp_path)}) == 1
    assert re.search("^ random ", capsys.readouterr().out, re.MULTILINE)
    simulate(per_round=20)  # another protocol
    assert len({file.parent for file in kept(tmp_path)}) == 2
    assert not re.search("^ random ", capsys.readouterr().out, re.MULTILINE)


def test_a_finished_curve_is_told_again_and_can_be_made_longer(simulate, tmp_path):
    first, _ = simulate()
    (file,) = kept(tmp_path)
    whole = file.read_text()
    assert simulate()[0] == first
    assert file.read_text() == whole
    simulate(until=50)
    assert [each["labels"] for each in json.loads(file.read_text())["rounds"]] == [20, 30, 40, 50]
    assert simulate()[0] == first  # up to what was asked for


def test_copies_make_another_pool(simulate, tmp_path):
    simulate(copies=3, until=20)
    simulate(copies=3, until=20, seed=4)  # other noise, and the same protocol
    file, other = kept(tmp_path)
    assert file.parent == other.parent
    assert max(json.loads(file.read_text())["initial"]) > 300


def test_what_cannot_be_simulated_is_refused(simulate, digits, tmp_path):
    with pytest.raises(ConfigError, match="until  must be at least initial, 20"):
        simulate(until=10)
    untested = Digits("few", "", digits.train, digits.validation, Split(*_none(digits)))
    with pytest.raises(DataError, match="few: its test split is empty"):
        simulate(data=untested)
    simulate(until=20)
    (file,) = kept(tmp_path)
    with FileLock(f"{file}.lock"), pytest.raises(ResumeError, match="another process"):
        simulate(until=20)


def _none(digits):
    return digits.test.images[:0], digits.test.labels[:0]
