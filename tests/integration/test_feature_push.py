"""The push: what was served and labelled is in the store once, the newest of it online."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime

import numpy as np
import pytest

from digits.contract.label import NOT_A_DIGIT
from digits.data.types import Split
from digits.errors import FeatureError
from digits.features import online
from digits.features.ingest import ingest, samples_of
from digits.features.join import known
from digits.features.parts import MOST
from digits.features.push import Push
from digits.features.shape import SHAPE_NAMES, shape_features
from digits.features.store import FeatureStore
from digits.features.training_set import training_set
from digits.features.views import IMAGE, LABELS, PREDICTIONS, SHAPE, VIEWS, WITHDRAWN
from tests.integration.featured import START, Service, few, needs_feast

pytestmark = needs_feast


@pytest.fixture(name="store")
def _store(tmp_path):
    store = FeatureStore(root=str(tmp_path / "store"), online=f"sqlite:///{tmp_path}/online.db")
    yield store
    store.close()


@pytest.fixture(name="service")
def _service(tmp_path):
    service = Service(f"sqlite:///{tmp_path}/traffic.db")
    yield service
    service.close()


def now():
    return datetime.now(UTC)


def image_of(row):
    return np.frombuffer(row.pixels, np.uint8).reshape(28, 28)


def test_predictions_come_in_once_and_go_online(store, service):
    rows = service.serve(3)
    assert service.push(store) == (3, 0)
    assert service.push(store) == (0, 0)
    more = service.serve(2)
    assert service.push(store) == (2, 0)
    samples = [row.id for row in rows + more]
    found = known(store, PREDICTIONS, samples, now())
    assert found["digit"].tolist() == [3] * 5 and found["version"].tolist() == ["digits/3"] * 5
    assert [bytes(each) for each in found["probabilities"]] == [
        row.probabilities for row in rows + more
    ]
    there = online.look_up(store, rows[0].id)
    assert there["image"]["pixels"] == rows[0].pixels
    assert there["predictions"]["deployment"] == "test" and "labels" not in there


def test_an_image_has_bit_equal_features_in_training_and_online(store, service):
    rows = service.serve(20)
    service.push(store)
    images = np.stack([image_of(row) for row in rows])
    expected = shape_features(images)
    offline = known(store, SHAPE, [row.id for row in rows], now())
    assert offline.to_numpy(np.float32).tobytes() == expected.tobytes()
    for row, alone in zip(rows, images, strict=True):
        served = online.look_up(store, row.id)["shape"]
        assert list(served) == list(SHAPE_NAMES)
        assert np.float32(list(served.values())).tobytes() == shape_features(alone[None]).tobytes()


def test_a_label_counts_from_when_it_was_given_and_not_after_it_was_taken_back(store, service):
    ingest(store, few(), moment=START)
    row = service.serve()[0]
    sample = service.queue(row)
    service.labels.label(sample, "rater_a", 4)
    assert service.push(store) == (1, 1)
    after_first = now()
    assert training_set(store, few()).digits.train.labels[40:].tolist() == [4]
    service.labels.label(sample, "rater_a", 9)
    service.push(store)
    after_second = now()
    service.labels.withdraw("rater_a", "boss")
    service.push(store)
    assert training_set(store, few()).added == 0
    assert training_set(store, few(), after_second).digits.train.labels[40:].tolist() == [9]
    early = training_set(store, few(), after_first).digits.train
    assert early.labels[40:].tolist() == [4] and (early.images[40] == image_of(row)).all()
    assert online.look_up(store, sample)["labels"]["label"] == WITHDRAWN


def test_served_samples_can_be_learned_from_more_often(store, service):
    data = few()
    ingest(store, data, moment=START)
    for label in (4, 6):
        service.labels.label(service.queue(service.serve()[0]), "rater_a", label)
    service.push(store)
    store.repeat = 3
    learned = training_set(store, data)
    assert learned.added == 2
    assert learned.digits.train.labels[40:].tolist() == [4, 6] * 3
    assert (learned.digits.train.images[:40] == data.train.images).all()


def test_controls_and_labels_in_dispute_do_not_come_in(store, service):
    ingest(store, few(), moment=START)
    first, second, third = service.serve(3)
    service.labels.label(service.queue(first, control=3), "rater_a", 5)
    disputed = service.queue(second)
    service.labels.label(disputed, "rater_a", 5)
    service.labels.label(disputed, "rater_b", 6)
    service.labels.label(service.queue(third), "rater_a", NOT_A_DIGIT)
    service.push(store)
    assert training_set(store, few()).added == 0
    service.labels.label(disputed, "rater_b", 5)
    service.push(store)
    assert training_set(store, few()).digits.train.labels[40:].tolist() == [5]


def test_a_label_of_data_that_is_not_there_is_refused_until_it_is_or_it_is_withdrawn(
    store, service
):
    data = few()
    wrong = (int(data.train.labels[7]) + 1) % 10
    row = service.serve()[0]._replace(id="uci/7", pixels=data.train.images[7].tobytes())
    service.queue(row)
    service.labels.label("uci/7", "rater_a", wrong)
    message = r"1 labels are of images of uci .* does not have: .* task=features data=uci"
    for _ in range(2):
        with pytest.raises(FeatureError, match=message):
            service.push(store)
    ingest(store, data)  # its own labels are newer, and do not undo what was said of them
    service.push(store)
    learned = training_set(store, data)
    assert (learned.added, learned.corrected) == (0, 1)
    assert learned.digits.train.labels[7] == wrong
    service.labels.withdraw("rater_a", "boss")
    service.push(store)
    assert training_set(store, data).corrected == 0


def test_labels_of_images_count_in_every_data_set_that_has_them(store, service):
    data, wrong = few(), 9
    ingest(store, data, moment=START)
    row = service.serve()[0]._replace(id="uci/7", pixels=data.train.images[7].tobytes())
    service.queue(row)
    service.labels.label("uci/7", "rater_a", wrong)
    served = service.queue(service.serve()[0])
    service.labels.label(served, "rater_a", 4)
    service.push(store)
    shuffled = Split(data.train.images[::-1].copy(), data.train.labels[::-1].copy())
    other = dataclasses.replace(data, train=shuffled)
    ingest(store, other)
    service.push(store)
    for each, place in ((data, 7), (other, len(data.train) - 8)):
        learned = training_set(store, each)
        assert (learned.added, learned.corrected) == (1, 1)
        assert learned.digits.train.labels[place] == wrong
    assert service.push(store) == (0, 0)


def test_a_label_that_was_withdrawn_before_it_came_in_needs_no_data(store, service):
    row = service.serve()[0]._replace(id="uci/7", pixels=few().train.images[7].tobytes())
    service.queue(row)
    service.labels.label("uci/7", "rater_a", 3)
    service.labels.withdraw("rater_a", "boss")
    service.push(store)
    ingest(store, few(), moment=START)
    learned = training_set(store, few())
    assert (learned.added, learned.corrected) == (0, 0)


def test_a_labelled_sample_of_the_data_is_corrected_and_restored(store, service):
    data = few()
    ingest(store, data, moment=START)
    wrong = (int(data.train.labels[7]) + 1) % 10
    sample = "uci/7"
    row = service.serve()[0]._replace(id=sample, pixels=data.train.images[7].tobytes())
    service.queue(row)
    service.labels.label(sample, "rater_a", wrong)
    service.push(store)
    learned = training_set(store, data)
    assert (learned.added, learned.corrected) == (0, 1)
    assert learned.digits.train.labels[7] == wrong
    service.labels.undo("rater_a")
    service.push(store)
    assert training_set(store, data).digits.digest == data.digest
    assert samples_of(data, "train")[7] in store.parts.read(LABELS)["sample"].to_pylist()


def test_a_labelled_image_outlives_its_prediction(store, service):
    ingest(store, few(), moment=START)
    row = service.serve(time=1.0)[0]
    service.labels.label(service.queue(row), "rater_a", 4)
    service.traffic.prune(max_days=1, max_bytes=None)
    assert service.push(store) == (0, 1)
    assert (training_set(store, few()).digits.train.images[40] == image_of(row)).all()


@pytest.mark.parametrize("at", ["write", "_reach"])
def test_a_killed_push_comes_again_and_nothing_is_there_twice(
    store, service, monkeypatch, caplog, at
):
    rows = service.serve(3)
    service.labels.label(service.queue(rows[0]), "rater_a", 4)
    push = Push(store, service.traffic, service.labels)
    left = iter([None] * (2 if at == "write" else 0))

    def killed(whole):
        def call(*arguments):
            next(left)  # StopIteration: the kill
            return whole(*arguments)

        return call

    target = store.parts if at == "write" else push
    with monkeypatch.context() as patch:
        patch.setattr(target, at, killed(getattr(target, at)))
        with pytest.raises(StopIteration):
            push.step()
    assert push.position().prediction == 0
    caplog.clear()
    more = service.serve(2)
    assert service.push(store) == (5, 1)
    assert "stopped half-way" in caplog.text
    for view in (PREDICTIONS, IMAGE, SHAPE):
        samples = store.parts.read(view)["sample"].to_pylist()
        assert set(samples) == {row.id for row in rows + more}
    assert len(store.parts.read(PREDICTIONS)) == 5


def test_many_small_pushes_become_few_files_with_the_same_rows(store, service):
    rows = []
    for _ in range(MOST + 1):
        rows += service.serve()
        Push(store, service.traffic, service.labels).step()
    files = list(store.parts.folder(PREDICTIONS).glob("*.parquet"))
    assert len(files) <= 3
    found = store.parts.read(PREDICTIONS)["sample"].to_pylist()
    assert sorted(found) == sorted(row.id for row in rows)


def test_embeddings_are_of_the_model_that_is_named(store, service):
    rows = service.serve(2)
    service.push(store, embed=lambda images: images[:, 0, :4].astype(np.float32), model="digits/7")
    there = online.look_up(store, rows[1].id)["embedding"]
    assert there["model"] == "digits/7"
    assert np.frombuffer(there["values"], "<f4").tolist() == list(rows[1].pixels[:4])


def test_a_damaged_position_is_named(store, service):
    service.serve()
    service.push(store)
    (store.root / "position.json").write_text("{")
    with pytest.raises(FeatureError, match=r"position\.json is damaged"):
        service.push(store)


def test_the_push_of_two_traffic_stores_is_told_apart(store, service, tmp_path):
    other = Service(f"sqlite:///{tmp_path}/other.db")
    service.serve(2)
    other.serve(3)
    assert service.push(store) == (2, 0) and other.push(store) == (3, 0)
    other.close()
    assert len(store.parts.read(PREDICTIONS)) == 5
    assert len(json.loads((store.root / "position.json").read_text())) == 2


def test_of_an_unknown_sample_nothing_is_known(store):
    assert online.look_up(store, "nobody") == {}
    assert set(VIEWS) == {"labels", "shape", "image", "embedding", "predictions"}
