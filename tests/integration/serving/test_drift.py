"""The drift panel over HTTP, and what Prometheus is told."""

from __future__ import annotations

import time

import pytest

from digits.contract.drift_history import DriftHistory, Watched
from serving import drift
from serving.settings import KEYS, Settings, Traffic
from tests.integration.serving.conftest import running

FOUND = Watched(
    time=1_790_000_000.0, version="digits/3", run_id="a" * 32, name="500 predictions",
    first=1_789_999_000.0, last=1_789_999_900.0, images=500, status="harmful", chance=0.0004,
    loudest="shape", foreign_share=0.5, before=0.995, accuracy=0.9, low=0.8, high=0.97, labels=40,
)  # fmt: skip
UNKNOWN = FOUND._replace(
    images=3, status="unknown", chance=None, loudest=None, foreign_share=None, accuracy=None,
    low=None, high=None, labels=0,
)  # fmt: skip


@pytest.fixture
def history(tmp_path):
    history = DriftHistory(f"sqlite:///{tmp_path}/traffic.db")
    yield history
    history.close()


@pytest.fixture
def settings(bundle, history):
    return Settings(pointer=bundle, port=0, traffic=Traffic(url=history.name))


def test_findings_are_told_the_oldest_first(settings, history):
    with running(settings) as client:
        assert client.get("/v1/drift").json() == {"findings": []}
        history.add(FOUND)
        history.add(UNKNOWN)
        assert client.get("/v1/drift").json()["findings"] == [FOUND._asdict(), UNKNOWN._asdict()]
        assert client.get("/v1/drift?last=1").json()["findings"] == [UNKNOWN._asdict()]
        assert client.get("/v1/drift?last=0").status_code == 422


def test_the_panel_is_a_page_of_its_own(settings):
    with running(settings) as client:
        page = client.get("/drift")
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert "page/drift.js" in page.text


def test_findings_need_the_key(settings, monkeypatch):
    monkeypatch.setenv(KEYS, "secret")
    with running(settings) as client:
        assert client.get("/v1/drift").status_code == 401
        assert client.get("/v1/drift", headers={"X-API-Key": "secret"}).status_code == 200
        assert client.get("/drift").status_code == 200  # asks for it


def test_a_service_that_keeps_nothing_says_so(client):
    answer = client.get("/v1/drift")
    assert answer.status_code == 409
    assert "keeps no predictions" in answer.json()["error"]


def test_prometheus_is_told_the_last_finding(settings, history, monkeypatch):
    monkeypatch.setattr(drift, "LOOK_SECONDS", 0.05)
    history.add(FOUND)
    with running(settings) as client:
        told = _told(client, 'digits_drift_accuracy{version="digits/3"} 0.9')
        assert 'digits_drift_status{status="harmful",version="digits/3"} 1.0' in told
        assert 'digits_drift_status{status="steady",version="digits/3"} 0.0' in told
        history.add(UNKNOWN)
        told = _told(client, 'digits_drift_accuracy{version="digits/3"} NaN')
        assert 'digits_drift_status{status="unknown",version="digits/3"} 1.0' in told


def _told(client, line):
    """Wait for a line of the metrics."""
    deadline = time.monotonic() + 10
    while line not in (told := client.get("/metrics").text):
        assert time.monotonic() < deadline, told
        time.sleep(0.02)
    return told
