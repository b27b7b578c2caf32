"""The history of findings, on SQLite and PostgreSQL, beside the traffic store."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine, text

from digits.contract.drift_history import DriftHistory
from digits.contract.traffic import TrafficStore
from digits.errors import TrafficError
from tests.integration.serving.test_drift import FOUND, UNKNOWN


def test_findings_come_back_as_they_were_kept(traffic_url):
    history = DriftHistory(traffic_url)
    assert history.recent() == []  # and nothing is made by looking
    assert not history.exists()
    history.add(FOUND)
    history.add(UNKNOWN)
    assert history.recent() == [FOUND, UNKNOWN]
    assert history.recent(1) == [UNKNOWN]
    store = TrafficStore(traffic_url)
    assert store.recent(1) == []
    store.close()
    history.close()


def test_a_status_that_is_none_is_refused(traffic_url):
    history = DriftHistory(traffic_url)
    with pytest.raises(TrafficError, match=r"traffic\.url"):
        history.add(FOUND._replace(status="fine"))
    assert history.recent() == []
    history.close()


def test_a_history_of_another_schema_is_left_alone(tmp_path):
    url = f"sqlite:///{tmp_path}/traffic.db"
    history = DriftHistory(url)
    history.add(FOUND)
    history.close()
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE drift_schema SET version = 99"))
    engine.dispose()
    with pytest.raises(TrafficError, match="schema version 99"):
        DriftHistory(url).recent()
