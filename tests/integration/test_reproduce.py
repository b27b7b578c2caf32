"""`reproduce=`: the configuration that was recorded, the data that was used, the same numbers."""

from __future__ import annotations

import dataclasses
import functools
import signal
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from omegaconf import open_dict
from PIL import Image

from digits.config import canonical, resolvers
from digits.contract.files import write_atomically
from digits.data.augmentation import Augmentation
from digits.data.exact import Exact
from digits.data.folder import Folder
from digits.data.loading import DigitDataModule
from digits.data.version import Made
from digits.data.versions import Versions
from digits.errors import DataError, NotReproducedError, ReproductionError, ResumeError
from digits.models.classifier import DigitClassifier
from digits.models.networks import Cnn
from digits.models.objective import Supervised
from digits.tasks import entry
from digits.tasks.train import train
from digits.tracking.store import Tracking
from digits.training import schedules

CONF = Path(__file__).resolve().parents[2] / "conf"
TYPED = ["model=tiny", "optimizer.lr=0.0123", "trainer.max_epochs=1", "seed=5"]


@pytest.fixture(autouse=True)
def _undisturbed():
    """Leave Hydra's state and the signal handler as they were."""
    state, handler = Singleton.get_state(), signal.getsignal(signal.SIGTERM)
    yield
    Singleton.set_state(state)
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture
def composed(tmp_path, store):
    """Compose as typed, with Hydra's own record of it in place."""
    resolvers.register()

    def composed(*typed):
        places = [f"paths.root={tmp_path}", f"paths.output={tmp_path}/job", f"tracking.uri={store}"]
        with initialize_config_dir(str(CONF), version_base="1.3"):
            config = compose("config", [*places, *typed], return_hydra_config=True)
        HydraConfig.instance().set_config(config)
        with open_dict(config):
            del config["hydra"]
        return config

    return composed


@pytest.fixture
def recorded(composed, store, record):
    """Record a run as a training would, without one; return its id and its configuration."""

    def recorded(*typed, status="FINISHED", task="train", change=None, **tags):
        config = composed(*typed)
        tree = canonical.canonical(config)
        if change is not None:
            change(tree)
        made = dataclasses.replace(record, task=task, config_digest=canonical.digest(tree))
        write_atomically(made.config_file, canonical.to_yaml(tree))
        run = Tracking(uri=store).start(made)
        run.log_record(made)
        run.set_tags({"digits.data_digest": "d" * 64, **tags})
        if status != "RUNNING":
            run.end(status)
        return run.id, tree

    return recorded


def test_the_recorded_configuration_is_composed_again(recorded, composed):
    run_id, tree = recorded(*TYPED, "data.test_fraction=0.3")
    again = entry.checked(composed(f"reproduce={run_id}"))
    assert canonical.differences(tree, canonical.canonical(again)) == []
    assert (again.optimizer.lr, again.seed, again.reproduce) == (0.0123, 5, run_id)
    assert again.tracking.uri == composed().tracking.uri


def test_an_option_that_changed_since_does_not_count(recorded, composed):
    def older(tree):
        tree["optimizer"]["weight_decay"] = 0.123  # no override says so: it was the default then

    run_id, _ = recorded(change=older)
    assert entry.checked(composed(f"reproduce={run_id}")).optimizer.weight_decay == 0.123


def test_the_run_is_found_by_its_folder_too(recorded, composed, record):
    run_id, _ = recorded(*TYPED)
    assert entry.checked(composed(f"reproduce={record.folder}")).reproduce == run_id


@pytest.mark.parametrize("typed", ["optimizer.lr=1", "model=cnn", "+x=1", "~callbacks.checkpoint"])
def test_what_is_typed_beside_it_is_refused_by_name(recorded, composed, typed):
    run_id, _ = recorded()
    with pytest.raises(ReproductionError, match=r"leave out: .*") as caught:
        entry.checked(composed(f"reproduce={run_id}", typed))
    assert typed in str(caught.value)
    assert "paths.root" not in str(caught.value)


def test_resume_beside_it_is_refused(recorded, composed):
    run_id, _ = recorded()
    with pytest.raises(ResumeError, match="leave out reproduce"):
        entry.checked(composed(f"reproduce={run_id}", f"resume={run_id}"))


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"status": "FAILED", "digits.error": "ValueError: x"}, r"ended as FAILED \(ValueError: x"),
        ({"status": "KILLED"}, "ended as KILLED"),
        ({"status": "RUNNING"}, "still going"),
        ({"task": "evaluate"}, r"no training \(task=evaluate\)"),
        ({"task": "sweep"}, "whole sweep"),
        ({"pruned": "3"}, "stopped early by its search, after 3"),
    ],
)
def test_a_run_without_a_result_of_its_own_is_refused(recorded, composed, facts, words):
    run_id, _ = recorded(**facts)
    with pytest.raises(ReproductionError, match=rf"^reproduce: run {run_id} .*{words}"):
        entry.checked(composed(f"reproduce={run_id}"))


@pytest.mark.parametrize("wanted", ["f" * 32, "nonsense"])
def test_an_unknown_run_is_refused_with_the_store_that_was_asked(composed, store, wanted):
    with pytest.raises(ReproductionError, match=rf"{wanted} is not a run of the store {store}"):
        entry.checked(composed(f"reproduce={wanted}"))


@pytest.mark.parametrize("key", ["reproduce", "resume"])
def test_an_empty_name_starts_no_training(composed, key):
    with pytest.raises((ReproductionError, ResumeError), match=f"^{key}: "):
        entry.checked(composed(f"{key}="))


def test_a_folder_that_is_of_no_run_is_refused(composed, tmp_path):
    with pytest.raises(ReproductionError, match="not the folder of a run"):
        entry.checked(composed(f"reproduce={tmp_path}"))


def test_a_stored_configuration_that_was_changed_is_refused(recorded, composed, store, record):
    run_id, _ = recorded()
    artifacts = Tracking(uri=store).find(run_id).info.artifact_uri.removeprefix("file://")
    file = Path(artifacts, "config.yaml")
    file.write_text(file.read_text().replace("seed: 0", "seed: 1"))
    with pytest.raises(ReproductionError, match="was changed"):
        entry.checked(composed(f"reproduce={run_id}"))


def test_an_argument_that_is_gone_is_named(recorded, composed):
    def older(tree):
        tree["optimizer"]["momentums"] = 1

    run_id, _ = recorded(change=older)
    with pytest.raises(ReproductionError, match=r"(?s)code has changed .*optimizer\.momentums"):
        entry.checked(composed(f"reproduce={run_id}"))


def test_an_argument_that_came_since_takes_its_default(recorded, composed, caplog):
    def older(tree):
        del tree["keep_data"], tree["task"]["keep_data"]

    run_id, _ = recorded(change=older)
    assert entry.checked(composed(f"reproduce={run_id}")).keep_data is True
    assert "keep_data: (absent) -> true" in caplog.text


# --- the very data


@pytest.fixture
def pictures(tmp_path):
    for label in (1, 7):
        (tmp_path / "pictures" / str(label)).mkdir(parents=True)
        for number in range(12):
            page = np.zeros((40, 40), np.uint8)
            page[8 : 20 + number, 10:14] = 255
            page[8 : 8 + label, 10:30] = 200
            Image.fromarray(page).save(tmp_path / "pictures" / str(label) / f"{number}.png")
    return tmp_path / "pictures"


@pytest.fixture
def source(pictures, store, tmp_path):
    versions = Versions(tracking=Tracking(uri=store), cache=str(tmp_path / "cache"))
    return Folder(root=str(pictures), store=versions)


def test_data_that_changed_is_taken_from_where_it_was_kept(source, pictures):
    before = source.load()
    assert Exact(source, before.digest).load().digest == before.digest
    source.store.put(before, "preprocessed", Made.now(commit="c", config_digest="d"))
    (pictures / "1" / "0.png").unlink()
    assert source.load().digest != before.digest
    assert Exact(source, before.digest).load().digest == before.digest


def test_data_that_changed_and_was_not_kept_is_refused(source, pictures):
    before = source.load().digest
    (pictures / "1" / "0.png").unlink()
    with pytest.raises(DataError, match=rf"{before} cannot be had again: folder delivers"):
        Exact(source, before).load()


def test_data_that_is_gone_and_was_not_kept_is_refused(source, pictures):
    before = source.load().digest
    pictures.rename(pictures.with_name("elsewhere"))
    with pytest.raises(DataError, match=rf"{before} cannot be had again: .*pictures"):
        Exact(source, before).load()


# --- the same numbers


class Given:
    """Data without a store."""

    store = None

    def __init__(self, digits):
        self.digits = digits

    def load(self):
        return self.digits


@pytest.fixture
def job(digits, record, store, tmp_path):
    """Train a small network in a folder of its own; return the run's id."""

    def job(number, *, reproduce=None, lr=0.01, data=digits):
        folder = tmp_path / "jobs" / str(number)
        folder.mkdir(parents=True)
        made = dataclasses.replace(record, folder=folder)
        made.config_file.write_text("seed: 3\n")
        torch.manual_seed(0)
        classifier = DigitClassifier(
            Cnn([4, 8], depth=1, dropout=0.1),
            objective=Supervised(),
            optimizer=functools.partial(torch.optim.Adam, lr=lr),
            scheduler=schedules.constant,
        )
        train(
            made,
            source=Given(data),
            loaders=functools.partial(
                DigitDataModule,
                augmentation=Augmentation({}),
                batch_size=64,
                num_workers=0,
                seed=0,
            ),
            classifier=classifier,
            trainer=functools.partial(pl.Trainer, max_epochs=1, accelerator="cpu", devices=1),
            callbacks={},
            tracking=Tracking(uri=store),
            reproduce=reproduce,
        )
        return made.run_id()

    return job


def test_the_same_inputs_give_the_same_numbers_and_other_ones_do_not(job, store, tmp_path, capsys):
    original = job(0)
    tracking = Tracking(uri=store)
    assert {"digits.threads", "digits.device", "digits.processor", "digits.libraries"} <= set(
        tracking.find(original).data.tags
    )
    capsys.readouterr()
    again = tracking.find(job(1, reproduce=original))
    told = capsys.readouterr().out
    assert "numbers and the weights are equal to the last bit" in told
    assert "different" not in told
    assert again.data.tags["digits.reproduces"] == original
    assert again.data.tags["digits.reproduced"] == "true"
    assert len(tracking.client().search_model_versions("name='digits'")) == 1
    with pytest.raises(NotReproducedError, match=r"Other numbers .*test/loss") as caught:
        job(2, reproduce=original, lr=0.011)
    assert caught.value.exit_code == 1
    assert "weights (sha256)" in str(caught.value)
    assert "different" in capsys.readouterr().out
    other = tracking.find((tmp_path / "jobs" / "2" / "run.json").read_text()[12:44])
    assert (other.info.status, other.data.tags["digits.reproduced"]) == ("FINISHED", "false")


def test_other_data_is_refused_before_a_run_is_opened(job, store, digits):
    original = job(0)
    other = dataclasses.replace(digits, train=digits.test)
    with pytest.raises(DataError, match="cannot be had again"):
        job(1, reproduce=original, data=other)
    assert len(Tracking(uri=store).search("")) == 1
