"""What the labelling page asks and says, over HTTP."""

from __future__ import annotations

import base64
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from digits.contract.labelling import LabelStore
from serving.listening import address_of, listen
from serving.settings import KEYS, Settings, Traffic
from tests.integration.labelling import queued
from tests.integration.serving.conftest import running

BASE = "/v1/labelling"
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def store(tmp_path):
    store = LabelStore(f"sqlite:///{tmp_path}/traffic.db")
    yield store
    store.close()


@pytest.fixture
def labelling(bundle, store):
    settings = Settings(pointer=bundle, port=0, traffic=Traffic(url=store.name))
    with running(settings) as client:
        yield client


def test_one_sample_after_the_other_is_labelled_skipped_and_taken_back(labelling, store):
    rows = [queued(suggestion=4), queued(), queued()]
    store.enqueue(rows)

    def ask(act, **form):
        return labelling.post(f"{BASE}/{act}", {"labeller": "rater_a", **form}).json()

    desk = ask("next")
    sample = desk["sample"]
    assert base64.b64decode(sample["pixels"]) == rows[0].pixels
    assert sample["probabilities"] == [0, 0.125, 0, 0.75, 0, 0, 0, 0, 0, 0.125]
    assert (sample["digit"], sample["confidence"], sample["suggestion"]) == (3, 0.75, 4)
    assert desk["progress"] == {"queued": 3, "labelled": 0, "disputed": 0, "skipped": 0}
    assert ask("next") == desk
    after = ask("label", number=sample["number"], label=8)
    assert store.find(rows[0].sample).label == 8  # committed before it was answered
    assert (after["answered"], after["progress"]["labelled"]) == (1, 1)
    last = ask("skip", number=after["sample"]["number"])
    assert base64.b64decode(last["sample"]["pixels"]) == rows[2].pixels
    assert ask("undo")["sample"] == after["sample"]
    assert ask("undo")["sample"] == sample
    assert store.confirmed() == []
    assert ask("undo")["answered"] == 0
    for _ in rows:
        desk = ask("label", number=ask("next")["sample"]["number"], label=-1)
    assert desk["sample"] is None
    (rater_a,) = labelling.get(f"{BASE}/labellers").json()["labellers"]
    assert (rater_a["name"], rater_a["labels"], rater_a["doubtful"]) == ("rater_a", 3, False)


def test_nothing_tells_a_control_from_other_samples(labelling, store):
    rows = [queued(), *(queued(sample=f"mnist/{i}", control=7) for i in range(50))]
    store.enqueue(rows)
    desk = labelling.post(f"{BASE}/next", {"labeller": "rater_a"}).json()
    assert base64.b64decode(desk["sample"]["pixels"]) in {row.pixels for row in rows[1:]}
    names = {"number", "pixels", "probabilities", "digit", "confidence", "suggestion", "version"}
    assert set(desk["sample"]) == names
    assert desk["progress"]["queued"] == 1


@pytest.mark.parametrize(
    ("act", "form", "status", "code"),
    [
        ("next", {"labeller": "a b"}, 422, "bad_field"),
        ("next", {"labeller": "x" * 33}, 422, "bad_field"),
        ("next", {"labeller": "rater_a\n"}, 422, "bad_field"),
        ("next", {}, 422, "bad_field"),
        ("label", {"labeller": "rater_a", "number": 1}, 422, "bad_field"),
        ("label", {"labeller": "rater_a", "number": 1, "label": 10}, 422, "bad_field"),
        ("label", {"labeller": "rater_a", "number": 1, "label": True}, 422, "bad_field"),
        ("label", {"labeller": "rater_a", "number": 7, "label": 3}, 404, "unknown_sample"),
        ("skip", {"labeller": "rater_a", "number": 7}, 404, "unknown_sample"),
        ("skip", {"labeller": "rater_a", "number": 7, "label": 3}, 422, "bad_field"),
        ("undo", {"labeller": "a" * 5000}, 413, "too_large"),
    ],
)
def test_wrong_request_is_told_and_nothing_is_kept(labelling, store, act, form, status, code):
    store.enqueue([queued()])
    answer = labelling.post(f"{BASE}/{act}", form)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert list(store.events()) == []


def test_without_a_store_there_is_nothing_to_label(client):
    answer = client.post(f"{BASE}/next", {"labeller": "rater_a"})
    assert (answer.status_code, answer.json()["code"]) == (409, "nothing_kept")


def test_store_that_does_not_answer_is_told_without_its_place(bundle, tmp_path):
    (tmp_path / "traffic.db").mkdir()
    url = f"sqlite:///{tmp_path}/traffic.db"
    with running(Settings(pointer=bundle, port=0, traffic=Traffic(url=url))) as client:
        answer = client.post(f"{BASE}/next", {"labeller": "rater_a"})
    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
    assert answer.headers["retry-after"] == "1"
    assert str(tmp_path) not in answer.text


def test_killed_service_loses_no_label_that_it_has_answered(bundle, store, tmp_path):
    store.enqueue([queued() for _ in range(200)])
    file = tmp_path / "settings.json"
    settings = Settings(pointer=bundle, port=0, traffic=Traffic(url=store.name))
    file.write_text(settings.model_dump_json())
    told = []

    def label(session, url):
        desk = session.post(f"{url}{BASE}/next", json={"labeller": "rater_a"}, timeout=60).json()
        while True:
            number = desk["sample"]["number"]
            form = {"labeller": "rater_a", "number": number, "label": 5}
            desk = session.post(f"{url}{BASE}/label", json=form, timeout=20).json()
            told.append(number)

    with listen("127.0.0.1", 0) as listener, requests.Session() as session:
        descriptor = listener.fileno()
        command = [sys.executable, "-m", "serving", str(file), "--fd", str(descriptor)]
        with (
            subprocess.Popen(command, cwd=ROOT, pass_fds=[descriptor]) as process,
            ThreadPoolExecutor(1) as pool,
        ):
            labelling = pool.submit(label, session, address_of(listener))
            while len(told) < 30 and not labelling.done():
                time.sleep(0.01)
            listener.close()  # nobody else is to take the next request
            process.kill()
            assert isinstance(labelling.exception(), requests.ConnectionError)
    kept = [store.number(each.sample) for each in store.confirmed()]
    assert len(told) >= 30
    assert set(told) <= set(kept)
    assert len(kept) <= len(told) + 1  # the one that was not answered yet


def test_page_is_open_and_labels_want_the_key(bundle, store, monkeypatch):
    monkeypatch.setenv(KEYS, "sesame")
    settings = Settings(pointer=bundle, port=0, traffic=Traffic(url=store.name))
    with running(settings) as client:
        assert "default-src 'none'" in client.get("/label").headers["content-security-policy"]
        assert client.post(f"{BASE}/next", {"labeller": "rater_a"}).status_code == 401
        assert client.get(f"{BASE}/labellers").status_code == 401
        headers = {"x-api-key": "sesame"}
        right = client.post(f"{BASE}/next", {"labeller": "rater_a"}, headers=headers)
        assert right.json()["sample"] is None
        foreign = {**headers, "sec-fetch-site": "cross-site"}
        answer = client.post(f"{BASE}/next", {"labeller": "rater_a"}, headers=foreign)
        assert (answer.status_code, answer.json()["code"]) == (403, "cross_site")
