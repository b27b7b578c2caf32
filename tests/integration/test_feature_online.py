"""The newest of each sample online, in SQLite, in a real Redis and in a real PostgreSQL."""

from __future__ import annotations

import socket
from datetime import timedelta

import numpy as np
import pytest

from digits.errors import FeatureError
from digits.features import online
from digits.features.ingest import ingest, samples_of
from digits.features.parts import moment, table_of
from digits.features.push import POSITION
from digits.features.shape import shape_features
from digits.features.store import FeatureStore
from digits.features.views import IMAGE, LABELS, SHAPE
from tests.integration.featured import Service, few, needs_feast

pytestmark = needs_feast
SERVERS = [pytest.param(name, marks=pytest.mark.service) for name in ("redis", "postgres")]


@pytest.fixture(name="address", params=["sqlite", *SERVERS])
def _address(request, tmp_path, monkeypatch):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/online.db"
    if request.param == "redis":
        return request.getfixturevalue("redis_server").database()
    # Times must not depend on where the server thinks that it is.
    monkeypatch.setenv("PGOPTIONS", "-c timezone=Asia/Tokyo")
    return request.getfixturevalue("postgres").database()


@pytest.fixture(name="store")
def _store(tmp_path, address):
    store = FeatureStore(root=str(tmp_path / "store"), online=address)
    yield store
    store.close()


@pytest.fixture(name="service")
def _service(tmp_path):
    service = Service(f"sqlite:///{tmp_path}/traffic.db")
    yield service
    service.close()


def test_an_older_row_does_not_replace_a_newer_one_online(store, service):
    row = service.serve()[0]
    service.push(store)

    def rows(*seconds):
        pixels = {"pixels": [bytes([place] * 784) for place in range(len(seconds))]}
        times = [moment(row.time) + timedelta(seconds=each) for each in seconds]
        return table_of(IMAGE, [row.id] * len(seconds), pixels, times)

    def there():
        return online.look_up(store, row.id)["image"]["pixels"]

    assert online.write(store, IMAGE, rows(-1)) == 0 and there() == row.pixels
    assert online.write(store, IMAGE, rows(3, 5, 4)) == 1 and there() == bytes([1] * 784)
    assert online.write(store, IMAGE, rows(4.999999)) == 0
    assert online.materialize(store, [IMAGE]) == {"image": 0} and there() == bytes([1] * 784)


def test_what_is_pushed_is_there_with_the_same_bits(store, service):
    rows = service.serve(12)
    service.labels.label(service.queue(rows[0]), "rater_a", 7)
    service.push(store)
    for row in rows:
        there = online.look_up(store, row.id)
        image = np.frombuffer(row.pixels, np.uint8).reshape(1, 28, 28)
        assert there["image"]["pixels"] == row.pixels
        shape = np.float32(list(there["shape"].values()))
        assert shape.tobytes() == shape_features(image).tobytes()
        assert there["predictions"]["confidence"] == 0.75
        assert ("labels" in there) == (row is rows[0])
    service.labels.label(rows[0].id, "rater_a", 9)
    service.push(store)
    assert online.look_up(store, rows[0].id)["labels"]["label"] == 9


def test_a_whole_data_set_is_brought_online(store):
    data = few()
    ingest(store, data)
    written = online.materialize(store, [LABELS, SHAPE, IMAGE])
    assert written == {"labels": 54, "shape": 54, "image": 54}
    there = online.look_up(store, samples_of(data, "validation")[3])
    assert there["labels"] == {
        "label": int(data.validation.labels[3]),
        "origin": "original",
        "labeller": "",
    }


def test_of_an_unknown_sample_nothing_is_known(store):
    assert online.look_up(store, "nobody") == {}


@pytest.mark.parametrize("kind", ["redis://127.0.0.1:{}/0", "postgresql://digits@127.0.0.1:{}/x"])
def test_a_server_that_does_not_answer_is_named_and_nothing_is_half_pushed(tmp_path, service, kind):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = kind.format(probe.getsockname()[1])
    store = FeatureStore(root=str(tmp_path / "store"), online=address)
    row = service.serve()[0]
    service.labels.label(service.queue(row), "rater_a", 7)
    with pytest.raises(FeatureError, match=rf"^features\.online: {address} cannot be used: ."):
        service.push(store)
    assert not list(store.root.rglob("pushed-*"))
    assert not (store.root / POSITION).exists()
    with pytest.raises(FeatureError, match="cannot be used"):
        online.look_up(store, row.id)
    there = FeatureStore(root=str(store.root), online=f"sqlite:///{tmp_path}/online.db")
    assert service.push(there) == (1, 1)
    there.close()


@pytest.mark.service
@pytest.mark.parametrize("kind", ["redis_server", "postgres"])
def test_a_server_that_comes_back_gets_what_was_missed(tmp_path, service, kind, request):
    server = request.getfixturevalue(kind)
    store = FeatureStore(root=str(tmp_path / "store"), online=server.database())
    first = service.serve(2)
    service.push(store)
    server.stop()
    second = service.serve(2)
    with pytest.raises(FeatureError, match="cannot be used"):
        service.push(store)
    server.start()
    assert service.push(store) == (2, 0)
    assert "shape" in online.look_up(store, second[1].id)
    online.materialize(store, [SHAPE])  # a server that has forgotten all gets it again
    assert "shape" in online.look_up(store, first[0].id)
    store.close()
