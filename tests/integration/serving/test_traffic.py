"""What a service keeps of its traffic, and what is said of it later."""

from __future__ import annotations

import time

import numpy as np
import pytest

from digits.contract.prediction import new_id
from digits.contract.traffic import TrafficStore
from serving.settings import Settings, Traffic
from tests.integration.serving.conftest import running

OCTETS = "application/octet-stream"


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/traffic.db"


def test_predictions_are_kept_and_corrected(bundle, url, digits):
    image = digits.test.images[0]
    settings = Settings(pointer=bundle, port=0, traffic=Traffic(url=url), deployment="d1")
    with running(settings) as client:
        headers = {"x-digits-key": "page-7"}
        answer = client.post("/v1/predict", image.tobytes(), OCTETS, headers=headers).json()
        assert answer["stored"] == "queued"
        unkept = client.post("/v1/predict?store=false", image.tobytes(), OCTETS).json()
        assert unkept["stored"] == "off"
        began = time.monotonic()
        response = client.post("/v1/feedback", {"id": answer["id"], "label": 3})
        assert response.json() == {"id": answer["id"], "stored": True}
        assert time.monotonic() - began < 5
        store = TrafficStore(url)  # committed while the service runs
        found = store.find(answer["id"])
        assert found.suggestion == 3
        for unknown in (new_id(), "0" * 32, unkept["id"]):
            response = client.post("/v1/feedback", {"id": unknown, "label": 3})
            assert response.status_code == 404
        assert "digits_traffic_written_total 1.0" in client.get("/metrics").text
    kept = found.prediction
    assert kept.pixels == image.tobytes()
    assert (kept.key, kept.deployment, kept.source) == ("page-7", "d1", "/v1/predict")
    assert kept.version == answer["version"]
    shares = np.frombuffer(kept.probabilities, np.float32)
    assert np.allclose(shares, answer["probabilities"])
    assert store.find(unkept["id"]) is None
    store.close()


def test_without_images_there_are_answers_and_no_pixels(bundle, url, digits):
    settings = Settings(pointer=bundle, port=0, traffic=Traffic(url=url, images=False))
    with running(settings) as client:
        answers = client.post("/v1/predict", digits.test.images.tobytes(), OCTETS).json()
        assert client.get("/v1/model").json()["images_kept"] is False
    store = TrafficStore(url)
    rows = [store.find(each["id"]) for each in answers["predictions"]]
    assert all(row.prediction.pixels is None for row in rows)
    store.close()


def test_without_a_store_there_is_nothing_to_correct(client, digits):
    answer = client.post("/v1/predict", digits.test.images[0].tobytes(), OCTETS).json()
    response = client.post("/v1/feedback", {"id": answer["id"], "label": 3})
    assert (response.status_code, response.json()["code"]) == (409, "nothing_kept")
