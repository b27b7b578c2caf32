"""Where a traffic store can be and cannot: schemas, half-made stores, locks, disks, addresses."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import event

from digits.contract.traffic import TrafficStore
from digits.contract.traffic_tables import SCHEMA_VERSION
from digits.errors import TrafficError
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
    again.close()


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
    store.close()
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


def no_database(folder):
    file = folder / "text.db"
    file.write_text("this is a text, long enough to be none of SQLite's headers " * 20)
    return file


def folder_is_a_file(folder):
    (folder / "file").touch()
    return folder / "file" / "traffic.db"


def a_folder(folder):
    (folder / "traffic.db").mkdir()
    return folder / "traffic.db"


def unwritable(folder):
    return Path("/proc/traffic/traffic.db")


@pytest.mark.parametrize("place", [no_database, folder_is_a_file, a_folder, unwritable])
def test_file_that_cannot_be_used_is_told(tmp_path, place):
    file = place(tmp_path)
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
        ("traffic.db", "is no address of a database"),
        ("mysql://user:s3cret@host/x", "mysql is not supported"),
        ("nodb:///x", "nodb is not supported"),
    ],
)
def test_address_that_is_none_is_named(url, message):
    with pytest.raises(TrafficError, match=message) as caught:
        TrafficStore(url)
    assert str(caught.value).startswith("traffic.url: ")
    assert "s3cret" not in str(caught.value)
