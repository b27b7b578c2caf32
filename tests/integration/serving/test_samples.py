"""All that is known of a sample, over HTTP."""

from __future__ import annotations

import numpy as np
import pytest

from digits.contract.traffic import TrafficStore
from digits.features.shape import shape_features
from serving.settings import KEYS, Settings, Traffic
from tests.integration.featured import Service, needs_feast
from tests.integration.serving.conftest import running

OCTETS = "application/octet-stream"


@pytest.fixture(name="service")
def _service(tmp_path):
    service = Service(f"sqlite:///{tmp_path}/traffic.db")
    yield service
    service.close()


def settings(bundle, service, **values):
    return Settings(pointer=bundle, port=0, traffic=Traffic(url=service.traffic.name), **values)


def test_a_prediction_is_found_with_the_label_that_counts(bundle, service, digits):
    with running(settings(bundle, service)) as client:
        answer = client.post("/v1/predict", digits.test.images[0].tobytes(), OCTETS).json()
        known = client.get(f"/v1/samples/{answer['id']}").json()  # also when not yet written
        prediction = known["prediction"]
        assert known["label"] is None and known["features"] is None
        for name in ("digit", "is_digit", "version"):
            assert prediction[name] == answer[name]
        assert prediction["probabilities"] == pytest.approx(answer["probabilities"], abs=1e-6)
        row = TrafficStore(service.traffic.name).find(answer["id"]).prediction
        service.labels.label(service.queue(row), "rater_a", 7)
        label = client.get(f"/v1/samples/{answer['id']}").json()["label"]
        assert (label["label"], label["labeller"]) == (7, "rater_a")


@pytest.mark.parametrize(
    "sample", ["0192f7a4b3c07d2e8a1b2c3d4e5f6071", "mnist/3fa9/train/7", "%20"]
)
def test_of_an_unknown_sample_nothing_is_known(bundle, service, sample):
    with running(settings(bundle, service)) as client:
        refused = client.get(f"/v1/samples/{sample}")
        assert refused.status_code in (404, 422)
        assert refused.json()["code"] in ("unknown_sample", "bad_field")


def test_it_needs_the_key(bundle, service, monkeypatch):
    monkeypatch.setenv(KEYS, "secret")
    row = service.serve()[0]
    with running(settings(bundle, service)) as client:
        assert client.get(f"/v1/samples/{row.id}").status_code == 401
        shown = {"X-API-Key": "secret"}
        assert client.get(f"/v1/samples/{row.id}", headers=shown).status_code == 200


def test_whoever_has_the_features_may_be_gone(bundle, service):
    row = service.serve()[0]
    with running(settings(bundle, service, features="http://127.0.0.1:9")) as client:
        known = client.get(f"/v1/samples/{row.id}").json()
        assert known["features"] is None and known["prediction"]["digit"] == 3


@needs_feast
def test_the_features_are_those_of_the_image(bundle, service, tmp_path):
    from digits.features.endpoint import answering
    from digits.features.store import FeatureStore

    row = service.serve()[0]
    store = FeatureStore(root=str(tmp_path / "store"), online=f"sqlite:///{tmp_path}/online.db")
    service.labels.label(service.queue(row), "rater_a", 7)
    service.push(store)
    with (
        answering(store, "127.0.0.1", 0) as address,
        running(settings(bundle, service, features=address)) as client,
    ):
        known = client.get(f"/v1/samples/{row.id}").json()
        unknown = client.get("/v1/samples/nobody")
    store.close()
    expected = shape_features(np.frombuffer(row.pixels, np.uint8).reshape(1, 28, 28))
    shape = np.float32(list(known["features"]["shape"].values()))
    assert shape.tobytes() == expected.tobytes()
    assert known["features"]["labels"]["label"] == known["label"]["label"] == 7
    assert known["features"]["predictions"]["version"] == "digits/3"
    assert "image" not in known["features"]
    assert unknown.status_code == 404
