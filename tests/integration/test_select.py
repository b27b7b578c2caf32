"""`task=select` on a registered model: what it queues, what it leaves out, and what it refuses."""

from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mlflow.artifacts import download_artifacts
from sqlalchemy import create_engine, text

from digits.active.candidates import of_traffic
from digits.active.disagreement import BatchBald
from digits.active.geometry import Badge, CoreSet
from digits.active.pointwise import Entropy, Margin, Random
from digits.contract.labelling import LabelStore
from digits.contract.prediction import new_id
from digits.contract.traffic import TrafficStore
from digits.data.types import Digits, Split
from digits.errors import ConfigError, DataError, RegistryError, TrafficError
from digits.models.inference import Inference
from digits.registry.versions import register
from digits.tasks.select import select
from digits.tracking.store import Tracking
from tests.integration.traffic import prediction

NOON = 1_700_000_000.0


class Given:
    """A source that has the digits already; or fails, where nobody should read it."""

    def __init__(self, digits):
        self.digits = digits

    def load(self):
        assert self.digits is not None, "the data was read"
        return self.digits


@pytest.fixture
def choose(stored, store, record, digits, tmp_path, url):
    """Call the task as the command line does, each time in a folder of its own."""
    client, run_id, manifest = stored
    register(client, name="digits", run_id=run_id, manifest=manifest)
    numbers = itertools.count(1)

    def choose(*, data=digits, **options):
        folder = tmp_path / "selections" / str(next(numbers))
        folder.mkdir(parents=True)
        job = dataclasses.replace(
            record, folder=folder, task="select", overrides=["task=select", "paths.root=there"]
        )
        job.config_file.write_text("seed: 3\n")
        given = {
            "action": "select",
            "version": "challenger",
            "acquisition": Margin(),
            "pool": "traffic",
            "count": 10,
            "controls": 0.2,
            "suggestions": True,
            "since": None,
            "until": None,
            "limit": 1000,
            "draws": 5,
            "labeller": None,
            "by": "operator",
            "traffic_url": url,
        }
        return select(
            job,
            source=Given(data),
            tracking=Tracking(uri=store),
            cache=str(tmp_path / "cache"),
            **(given | options),
        )

    return choose


@pytest.fixture
def url(tmp_path):
    """The address of a database that is not there yet."""
    return f"sqlite:///{tmp_path}/new/traffic.db"


@pytest.fixture
def traffic(url):
    """A traffic store that will be there once something is written."""
    store = TrafficStore(url)
    yield store
    store.close()


@pytest.fixture
def labels(url):
    """The label store beside it."""
    store = LabelStore(url)
    yield store
    store.close()


@pytest.fixture
def served(traffic, digits):
    """The test images as a service has seen them, a second apart."""
    rows = [
        prediction(pixels=image.tobytes(), time=NOON + second)
        for second, image in enumerate(digits.test.images)
    ]
    traffic.write(rows)
    return rows


def queued(labels):
    """Every row of the queue, in the order in which it was queued."""
    with labels._transaction() as connection:
        return connection.execute(text("SELECT * FROM label_queue ORDER BY number")).all()


def probabilities(network, images):
    with torch.inference_mode():
        logits = Inference(network, mean=0.1307, std=0.3081)(torch.from_numpy(images))
    return logits.softmax(1).numpy()


def test_what_is_queued_is_what_the_model_is_least_sure_of(
    choose, served, labels, network, digits, capsys
):
    assert choose() == 10
    rows = [row for row in queued(labels) if row.control is None]
    seen = probabilities(network, digits.test.images)
    margins = np.diff(np.sort(seen, axis=1)[:, -2:], axis=1)[:, 0]
    expected = [served[place].id for place in margins.argsort(kind="stable")[:10]]
    assert [row.sample for row in rows] == expected
    first = rows[0]
    place = margins.argmin()
    assert bytes(first.pixels) == digits.test.images[place].tobytes()
    np.testing.assert_allclose(np.frombuffer(first.probabilities, "<f4"), seen[place], atol=1e-5)
    assert first.digit == seen[place].argmax()
    assert first.confidence == pytest.approx(seen[place].max(), abs=1e-5)
    assert (first.version, first.method) == ("digits/1", "margin")
    assert first.score == pytest.approx(1 - margins[place], abs=1e-5)
    assert first.time == served[place].time
    printed = capsys.readouterr().out
    assert "10 samples: 10 by margin" in printed
    assert "task=serve paths.root=there" in printed and "/label" in printed


def test_controls_are_training_images_that_nothing_tells_from_the_others(
    choose, served, labels, digits
):
    choose()
    rows = queued(labels)
    controls = [row for row in rows if row.control is not None]
    assert len(rows) == 12 and len(controls) == 2
    known = {
        image.tobytes(): label
        for image, label in zip(digits.train.images, digits.train.labels, strict=True)
    }
    assert [known[bytes(row.pixels)] for row in controls] == [row.control for row in controls]
    assert {len(row.sample) for row in rows} == {32}
    assert {row.method for row in rows} == {"margin"}
    assert rows[-2:] != controls


def test_what_was_queued_before_is_not_queued_again(choose, served, labels, capsys):
    assert choose() == 10
    assert choose(count=500, controls=0.0, data=None) == 70
    samples = [row.sample for row in queued(labels) if row.control is None]
    assert len(samples) == len(set(samples)) == 80
    with pytest.raises(DataError, match="every image of 80 predictions is queued or labelled"):
        choose()


def test_what_somebody_corrected_comes_first_the_most_doubtful_before(
    choose, served, traffic, labels, network, digits
):
    said = {11: 4, 12: 5, 60: 6}
    for place, label in said.items():
        traffic.correct(served[place].id, label, origin="page")
    choose(count=5, controls=0.0)
    seen = probabilities(network, digits.test.images)
    order = sorted(said, key=lambda place: seen[place, said[place]])
    rows = queued(labels)
    assert [row.sample for row in rows[:3]] == [served[place].id for place in order]
    assert [row.suggestion for row in rows] == [*(said[place] for place in order), None, None]
    assert [row.method for row in rows] == ["suggestion"] * 3 + ["margin"] * 2


def test_corrections_that_do_not_count_are_samples_like_others(choose, served, traffic, labels):
    for row in served:
        traffic.correct(row.id, 4, origin="page")
    choose(count=3, suggestions=False)
    assert {row.method for row in queued(labels)} == {"margin"}


def test_window_and_limit(choose, served, labels):
    assert choose(since=NOON + 10, until=NOON + 20, count=50, controls=0.0) == 10
    assert {row.sample for row in queued(labels)} == {row.id for row in served[10:20]}
    assert choose(limit=7, count=50, controls=0.0) == 7
    assert {row.sample for row in queued(labels)[10:]} == {row.id for row in served[-7:]}


def test_equal_images_are_labelled_once(choose, traffic, labels, digits):
    image = digits.test.images[0].tobytes()
    rows = [prediction(pixels=image, time=NOON + second) for second in range(5)]
    traffic.write(rows)
    assert choose(controls=0.0) == 1
    assert [row.sample for row in queued(labels)] == [rows[-1].id]


@pytest.mark.service
def test_a_database_server(choose, postgres, digits):
    address = postgres.database()
    traffic, labels = TrafficStore(address), LabelStore(address)
    rows = [prediction(pixels=image.tobytes()) for image in digits.test.images]
    traffic.write(rows)
    assert choose(count=500, traffic_url=address, controls=0.1) == 80
    assert {row.sample for row in queued(labels) if row.control is None} == {row.id for row in rows}
    assert labels.progress().queued == 80
    traffic.close()
    labels.close()


@pytest.mark.parametrize("acquisition", [Random(), Entropy(shortlist=3), CoreSet(), Badge()])
def test_other_ways_to_choose(choose, served, labels, acquisition):
    labels.close()
    assert choose(acquisition=acquisition) == 10
    rows = queued(labels)
    assert {row.method for row in rows} == {acquisition.name}


def test_draws_of_a_network_without_dropout_are_refused(choose, served, labels):
    message = r"batchbald needs draws .* no dropout before its last layer .*acquisition=margin"
    with pytest.raises(RegistryError, match=message):
        choose(acquisition=BatchBald())
    assert not labels.exists()


def test_a_data_set_as_pool(choose, labels, digits):
    assert choose(pool="data", count=20) == 20
    rows = queued(labels)
    images = {image.tobytes() for image in digits.train.images}
    for row in rows:
        if row.control is None:
            assert row.sample.startswith("bars/")
            assert bytes(row.pixels) in images
    assert sum(row.control is not None for row in rows) == 4


def test_a_data_set_that_is_queued_as_a_whole(choose, digits):
    few = Split(digits.train.images[:8], digits.train.labels[:8])
    small = Digits("few", "eight", few, few, few)
    assert choose(pool="data", data=small, controls=0.0) == 8
    with pytest.raises(DataError, match="all 8 training images of few are queued"):
        choose(pool="data", data=small)


def test_the_run_keeps_picture_rows_and_figures(choose, served, store, tmp_path):
    choose()
    client = Tracking(uri=store).client()
    experiment = client.get_experiment_by_name("digits").experiment_id
    (run,) = client.search_runs([experiment], filter_string="tags.`digits.task` = 'select'")
    assert run.info.status == "FINISHED"
    assert run.data.tags["digits.model_version"] == "digits/1"
    figures = run.data.metrics
    assert figures["select/pool"] == 80
    assert figures["select/queued"] == 10
    assert figures["select/controls"] == 2
    where = download_artifacts(
        run_id=run.info.run_id, artifact_path="selection", tracking_uri=store
    )
    names = {file.name for file in (tmp_path / "selections/1/selection").iterdir()}
    assert names == {"selected.png", "selected.json"}
    rows = json.loads((Path(where) / "selected.json").read_text(encoding="utf-8"))
    assert len(rows) == 10


# What cannot be done.


def test_a_service_that_was_never_asked(choose, traffic, labels):
    with pytest.raises(DataError, match=r"traffic\.url: .* has no predictions yet: serve a model"):
        choose()
    assert not labels.exists()


def test_an_empty_window_says_what_there_is(choose, served):
    message = r"nothing was served before 2000-.*Z; .* from 2023-11-14T22:13:20Z to 2023-11-14T22:1"
    with pytest.raises(DataError, match=message):
        choose(until="2001-01-01T00:00+01:00")


def test_answers_of_another_model_are_no_pool(choose, served, traffic, labels, digits):
    traffic.write([row._replace(id=new_id(), version="other/1") for row in served])
    choose(count=1000)
    assert {row.sample for row in queued(labels) if row.control is None} <= {
        row.id for row in served
    }
    with pytest.raises(DataError, match="has no predictions of unheard: serve it"):
        of_traffic(traffic, (), name="unheard", limit=10)


def test_predictions_without_images(choose, traffic):
    traffic.write([prediction(pixels=None), prediction(pixels=None)])
    with pytest.raises(DataError, match="none of 2 predictions was kept with its image"):
        choose()


def test_a_time_that_is_none(choose, served):
    with pytest.raises(ConfigError, match="since  'yesterday' is no time"):
        choose(since="yesterday")


def test_a_queue_of_another_schema(choose, served, labels):
    choose()
    engine = create_engine(labels._engine.url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE labelling_schema SET version = 99"))
    engine.dispose()
    with pytest.raises(TrafficError, match="schema version 99"):
        choose()


def test_nothing_of_a_selection_that_fails_is_queued(choose, served, labels):
    with pytest.raises(AssertionError, match="the data was read"):
        choose(data=None)
    assert not labels.exists()


# Who has labelled what.


def test_status_and_withdrawal(choose, served, labels, capsys):
    choose(count=4)
    for _ in range(4):
        row = labels.next("rater_a")
        labels.label(row.sample, "rater_a", 1)
    assert choose(action="status", data=None) is None
    printed = capsys.readouterr().out
    assert "rater_a" in printed and "controls right" in printed
    assert choose(action="withdraw", labeller="rater_a", data=None) is None
    assert labels.progress().labelled == 0
    assert "withdrawn" in capsys.readouterr().out
    with pytest.raises(
        ConfigError, match="labeller  rater_b has labelled nothing; labellers: rater_a"
    ):
        choose(action="withdraw", labeller="rater_b")
    with pytest.raises(ConfigError, match="labeller  name the one"):
        choose(action="withdraw")


@pytest.mark.parametrize("action", ["status", "withdraw"])
def test_without_a_queue_there_is_nothing_to_see_and_none_is_made(choose, labels, action):
    with pytest.raises(DataError, match="has no labelling queue yet"):
        choose(action=action, labeller="rater_a")
    assert not labels.exists()
