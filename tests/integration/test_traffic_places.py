"""Where a traffic store can be and cannot: schemas, half-made stores, locks, disks, addresses."""

from __future__ import annotations

import sqlite3
import sys

import pytest
from sqlalchemy import event

from digits.contract.traffic import TrafficStore
from digits.contract.traffic_tables import SCHEMA_VERSION
from digits.errors import MissingExtraError, TrafficError
from tests.integration.places import UNUSABLE
from tests.integration.traffic import prediction, stored


def test_other_schema_is_refused(traffic_store, traffic_url):
    traffic_store.write([prediction()])
    with traffic_store._transaction() as connection:
        connection.exec_driver_sql(f"UPDATE traffic_schema SET version = {SCHEMA_VERSION + 1}")
    again = TrafficStore(traffic_url)
    message = r"^traffic\.url: .* has schema version 2 of its traffic tables, and this"
    with pytest.raises(TrafficError, match=message):
        again.write([prediction()])
    again.close()


def test_creation_that_was_cut_short_is_completed(traffic_store, traffic_url):
    traffic_store.write([])
    with traffic_store._transaction() as connection:
        connection.exec_driver_sql("DELETE FROM traffic_schema")
        connection.exec_driver_sql("DROP TABLE corrections")
    again = TrafficStore(traffic_url)
    again.write([prediction()])
    assert list(again.corrections()) == []
    with again._transaction() as connection:
        versions = connection.exec_driver_sql("SELECT version FROM traffic_schema").all()
    assert versions == [(SCHEMA_VERSION,)]
    again.close()


def test_file_that_is_there_without_our_tables_gets_them(tmp_path):
    (tmp_path / "traffic.db").touch()
    store = TrafficStore(f"sqlite:///{tmp_path}/traffic.db")
    store.write([prediction()])
    assert len(stored(store)) == 1
    store.close()


def test_path_may_begin_at_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    store = TrafficStore("sqlite:///~/new/traffic.db")
    store.write([prediction()])
    store.close()
    assert (tmp_path / "new" / "traffic.db").stat().st_size > 0


def test_looking_whether_there_is_a_store_creates_none(tmp_path):
    store = TrafficStore(f"sqlite:///{tmp_path}/none/traffic.db")
    assert not store.exists()
    assert list(tmp_path.iterdir()) == []


def test_commit_on_sqlite_outlives_a_power_cut_and_lets_readers_be(tmp_path):
    store = TrafficStore(f"sqlite:///{tmp_path}/traffic.db")
    store.write([prediction()])
    with store._transaction() as connection:
        told = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "auto_vacuum")
        }
        kept = connection.exec_driver_sql("PRAGMA journal_size_limit").scalar_one()
    store.close()
    assert kept == 32_768_000  # bytes: a journal that grew once does not stay so
    # 2: what is committed is on the disk (FULL), and space is given back little by little.
    assert told == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "auto_vacuum": 2}


def test_locked_file_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("digits.contract.traffic_database.LOCKED_SECONDS", 0.2)
    store = TrafficStore(f"sqlite:///{tmp_path}/traffic.db")
    store.write([prediction()])
    other = sqlite3.connect(tmp_path / "traffic.db")
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(TrafficError, match=r"^traffic\.url: .* cannot be used: database is locked"):
        store.write([prediction()])
    assert len(stored(store)) == 1  # readers do not wait
    other.rollback()
    other.close()
    store.write([prediction()])
    store.close()


def test_full_disk_is_told_and_what_is_there_can_be_read(tmp_path):
    store = TrafficStore(f"sqlite:///{tmp_path}/traffic.db")
    store.write([prediction() for _ in range(100)])
    store.close()
    event.listen(store._engine, "connect", lambda each, _: each.execute("PRAGMA max_page_count=60"))
    with pytest.raises(TrafficError, match="database or disk is full"):
        store.write([prediction() for _ in range(1000)])
    assert len(stored(store)) == 100
    store.close()


@pytest.mark.parametrize("place", UNUSABLE)
def test_file_that_cannot_be_used_is_told(tmp_path, place):
    file = place(tmp_path, "traffic.db")
    with pytest.raises(TrafficError, match=r"^traffic\.url: ") as caught:
        TrafficStore(f"sqlite:///{file}").write([prediction()])
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.timeout(30)
def test_server_that_is_not_there_is_told_without_its_password():
    store = TrafficStore("postgresql://user:s3cret@127.0.0.1:9/traffic")
    with pytest.raises(TrafficError, match=r"user:\*\*\*@127\.0\.0\.1") as caught:
        store.write([prediction()])
    assert "s3cret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("traffic.db", "traffic.db is no address of a database"),
        ("mysql://user:s3cret@host/x", "mysql is not supported"),
        ("nodb:///x", "nodb is not supported"),
    ],
)
def test_address_that_is_none_is_named(url, message):
    with pytest.raises(TrafficError, match=message) as caught:
        TrafficStore(url)
    assert str(caught.value).startswith("traffic.url: ")
    assert "s3cret" not in str(caught.value)


@pytest.mark.timeout(30)
def test_short_name_of_postgresql_will_do():
    store = TrafficStore("postgres://127.0.0.1:9/traffic")
    with pytest.raises(TrafficError, match=r"127\.0\.0\.1:9.* cannot be used"):
        store.write([prediction()])
    store.close()


def test_missing_driver_is_told_with_what_brings_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtraError, match=r"psycopg.*scripts/bootstrap serve"):
        TrafficStore("postgresql://127.0.0.1:9/traffic")


@pytest.mark.parametrize(
    "traffic_url", [pytest.param("postgres", marks=pytest.mark.service)], indirect=True
)
def test_server_that_hangs_is_not_waited_for_for_ever(traffic_store):
    with traffic_store._transaction() as connection:
        shown = [
            connection.exec_driver_sql(f"SHOW {name}").scalar_one()
            for name in ("statement_timeout", "lock_timeout")
        ]
        asked = connection.connection.driver_connection.info.get_parameters()
    assert shown == ["30s", "10s"]
    assert (asked["connect_timeout"], asked["tcp_user_timeout"]) == ("5", "10000")
