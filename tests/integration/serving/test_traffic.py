"""What a service keeps of its traffic, and what is said of it later."""

from __future__ import annotations

import io
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import requests
from PIL import Image

from digits.contract.prediction import new_id
from digits.contract.traffic import TrafficStore
from serving.listening import address_of, listen
from serving.settings import Limits, Settings, Traffic
from tests.integration.serving.conftest import running

OCTETS = "application/octet-stream"
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/traffic.db"


def test_predictions_are_kept_and_corrected(bundle, url, digits):
    image = digits.test.images[0]
    picture = io.BytesIO()
    Image.fromarray(image).save(picture, "PNG")
    settings = Settings(pointer=bundle, port=0, traffic=Traffic(url=url), deployment="d1")
    with running(settings) as client:
        headers = {"x-digits-key": "page-7"}
        answer = client.post("/v1/predict", image.tobytes(), OCTETS, headers=headers).json()
        assert answer["stored"] == "queued"
        form = {"files": {"file": picture.getvalue()}, "data": {"key": "page-8"}}
        of_form = requests.post(client.url + "/v1/predict", **form, timeout=20).json()
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
        assert "digits_traffic_written_total 2.0" in client.get("/metrics").text
    kept = found.prediction
    assert store.find(of_form["id"]).prediction.key == "page-8"
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


def test_store_that_cannot_be_written_stops_no_answer(bundle, digits):
    image = digits.test.images[0].tobytes()
    traffic = Traffic(url="postgresql://nobody@127.0.0.1:9/none", queue=3, flush_seconds=0.05)
    limits = Limits(drain_seconds=0.5)
    settings = Settings(pointer=bundle, port=0, traffic=traffic, limits=limits)
    with running(settings) as client:
        answers = [client.post("/v1/predict", image, OCTETS).json() for _ in range(5)]
        assert [each["stored"] for each in answers] == ["queued"] * 3 + ["dropped"] * 2
        response = client.post("/v1/feedback", {"id": answers[4]["id"], "label": 3})
        assert (response.status_code, response.json()["code"]) == (503, "store_unavailable")
        told = client.get("/metrics").text
    assert "digits_traffic_dropped_total 2.0" in told
    assert "digits_traffic_queue 3.0" in told


def test_killed_service_loses_no_more_than_its_last_answers(bundle, url, digits, tmp_path):
    traffic = Traffic(url=url, flush_seconds=0.1)
    file = tmp_path / "settings.json"
    file.write_text(Settings(pointer=bundle, port=0, traffic=traffic).model_dump_json())
    image = digits.test.images[0].tobytes()
    answered = []
    with listen("127.0.0.1", 0) as listener, requests.Session() as session:
        session.headers["content-type"] = OCTETS
        descriptor = listener.fileno()
        command = [sys.executable, "-m", "serving", str(file), "--fd", str(descriptor)]
        with subprocess.Popen(command, cwd=ROOT, pass_fds=[descriptor]) as process:
            while not answered or answered[-1][1] < answered[0][1] + 1.5:
                # The first one waits at the socket until the service is there.
                answer = session.post(f"{address_of(listener)}/v1/predict", image, timeout=60)
                answered.append((answer.json()["id"], time.monotonic()))
            process.kill()
    store = TrafficStore(url)
    kept = [store.find(identifier) is not None for identifier, _ in answered]
    store.close()
    lost = kept.count(False)
    assert kept == [True] * (len(kept) - lost) + [False] * lost
    assert all(answered[-1][1] - when < 0.1 + 1.0 for _, when in answered[len(kept) - lost :])
    assert kept[0]
