"""The traffic store on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import event

from digits.contract.prediction import Deployment, Served, new_id
from digits.contract.traffic import DAY, TrafficStore
from digits.contract.traffic_tables import SCHEMA_VERSION
from digits.errors import TrafficError
from tests.integration.traffic import prediction, stored

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def store(traffic_url):
    store = TrafficStore(traffic_url)
    yield store
    store.close()


def script(name, *arguments, stdout=subprocess.PIPE):
    """Start one of the processes of :mod:`tests.integration.traffic`."""
    command = [sys.executable, "-m", "tests.integration.traffic", name, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=stdout, text=True)


def test_what_is_written_is_read_as_it_was(store):
    rows = [
        prediction(),
        prediction(key="my own é 7", pixels=None, is_digit=None, confidence=1.0, digit=0),
        prediction(pixels=bytes(784), is_digit=False, version="digits/4", source="v2"),
    ]
    store.write(rows)
    assert [each.prediction for each in stored(store)] == rows
    for row in rows:
        assert store.find(row.id).prediction == row
        assert type(store.find(row.id).prediction.is_digit) is type(row.is_digit)
    assert store.find(new_id()) is None


@pytest.mark.parametrize("count", [0, 1, 127, 128, 129, 1000])
def test_batches_of_any_size_are_written_whole_and_in_order(store, count):
    rows = [prediction() for _ in range(count)]
    store.write(rows)
    found = stored(store)
    assert [each.prediction for each in found] == rows
    assert [each.number for each in found] == sorted({each.number for each in found})


def test_writing_again_doubles_nothing(store):
    rows = [prediction() for _ in range(300)]
    store.write(rows[:200])
    store.write(rows)
    store.write(rows[::-1])
    assert {each.prediction for each in stored(store)} == set(rows)
    assert len(stored(store)) == 300


def test_four_processes_create_one_store_and_lose_and_double_nothing(store, traffic_url):
    writers = [script("write", traffic_url, 1500) for _ in range(4)]
    reported = []
    numbers = []
    follow, last = True, 0
    while follow:  # a reader that goes on where it was misses none
        follow = any(writer.poll() is None for writer in writers)
        if store.exists():
            for chunk in store.read(after=last, pixels=False, chunk=100):
                numbers += [each.number for each in chunk]
                last = numbers[-1]
        time.sleep(0.01)
        if not follow:
            reported = [line for writer in writers for line in writer.communicate()[0].split()]
    assert [writer.returncode for writer in writers] == [0] * 4
    found = stored(store)
    assert sorted(each.prediction.id for each in found) == sorted(reported)
    assert len(found) == 6000
    assert numbers == [each.number for each in found]


def test_range_of_time_and_version_is_read(store):
    start = time.time()
    rows = [prediction(time=start + i, version=f"digits/{1 + i % 2}") for i in range(20)]
    store.write(rows[10:])
    store.write(rows[:10])  # later, from another worker

    def read(**wanted):
        return {each.prediction for chunk in store.read(chunk=3, **wanted) for each in chunk}

    assert read() == set(rows)
    assert [len(chunk) for chunk in store.read(chunk=8)] == [8, 8, 4]
    assert read(since=start + 5, until=start + 12) == set(rows[5:12])
    assert read(until=start + 8, version="digits/2") == set(rows[1:8:2])
    assert read(since=start + 100) == set()
    assert {each.pixels for each in read(pixels=False)} == {None}
    assert [each.prediction for each in store.recent(3)] == rows[7:10]
    assert store.recent(1, pixels=False)[0].prediction == rows[9]._replace(pixels=None)
    (one,) = [each for each in store.served() if each.version == "digits/1"]
    assert one == Served("test", "digits/1", 10, start, start + 18)
    assert [each.version for each in store.served()] == ["digits/1", "digits/2"]
    store.write([prediction(time=start - 5, version="digits/8")])
    assert [each.version for each in store.served()] == ["digits/8", "digits/1", "digits/2"]
    assert store.served("digits/1") == [one]
    assert store.served("digits/9") == []


def test_newest_correction_counts_and_all_are_kept(store):
    row, other = prediction(), prediction()
    store.write([row, other])
    assert store.find(row.id).suggestion is None
    assert store.correct(row.id, 8, origin="page")
    assert store.correct(row.id, 0, origin="api")
    assert [each.suggestion for each in stored(store)] == [0, None]
    first, second = (each for chunk in store.corrections(chunk=1) for each in chunk)
    assert (first.prediction, first.label, first.origin) == (row.id, 8, "page")
    assert (second.prediction, second.label, second.origin) == (row.id, 0, "api")
    assert abs(second.time - time.time()) < 20
    assert list(store.corrections(after=first.number)) == [[second]]
    assert list(store.corrections(chunk=1)) == [[first], [second]]
    assert store.correct(other.id, 9, origin="page")
    (found,) = store.corrections(of=other.id)
    assert [(each.prediction, each.label) for each in found] == [(other.id, 9)]
    assert list(store.corrections(of=row.id)) == [[first, second]]


def test_correction_of_nothing_is_told_and_not_kept(store):
    store.write([prediction()])
    assert not store.correct(new_id(), 8, origin="page")
    assert list(store.corrections()) == []


@pytest.mark.parametrize("label", [-1, 10, True, 3.0, "3", None])
def test_label_that_is_no_digit_is_refused(store, label):
    with pytest.raises(ValueError, match=r"label: .* is no digit from 0 to 9"):
        store.correct(new_id(), label, origin="page")


def test_deployment_is_noted_once(store):
    first = Deployment("d1", 1.5, "local", "here", "digits/3", "c" * 64)
    store.deploy(first)
    store.deploy(first._replace(started=2.0))
    assert store.deployment("d1") == first
    assert store.deployment("d2") is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"digit": 10},
        {"confidence": 1.5},
        {"pixels": b"12"},
        {"probabilities": b""},
        {"version": None},
        {"key": "\ud800"},
        {"digit": 2**70},
        {"time": "now"},
    ],
)
def test_refused_value_is_told_and_nothing_of_the_batch_is_written(store, wrong):
    if wrong == {"time": "now"} and "sqlite" in store.name:
        pytest.skip("SQLite takes any type")
    pixels = b"\x61" * 784
    with pytest.raises(ValueError, match=r"refuses a prediction: (?!None)\S") as caught:
        store.write([prediction(), prediction(**{"pixels": pixels} | wrong)])
    assert "\n" not in str(caught.value)
    assert "aaa" not in str(caught.value)
    assert stored(store) == []


def test_old_predictions_go_with_their_corrections(store):
    now = time.time()
    old = [prediction(time=now - 3 * DAY) for _ in range(250)]
    new = [prediction(time=now - DAY) for _ in range(10)]
    store.write(old[:100] + new + old[100:])
    store.correct(old[0].id, 1, origin="page")
    store.correct(new[0].id, 1, origin="page")
    assert store.prune(max_days=None, max_bytes=None) == 0
    steps = [store.prune(max_days=2, max_bytes=None, most=100) for _ in range(4)]
    assert steps == [100, 100, 50, 0]
    assert [each.prediction for each in stored(store)] == new
    assert [each.prediction for chunk in store.corrections() for each in chunk] == [new[0].id]


def test_age_and_size_together_delete_no_more_than_one_step(store):
    now = time.time()
    rows = [prediction(time=now - 3 * DAY * (number < 25)) for number in range(100)]
    store.write(rows)
    assert store.prune(max_days=2, max_bytes=1, most=40) == 40
    assert [each.prediction for each in stored(store)] == rows[40:]
    assert store.prune(max_days=2, max_bytes=1, most=40) == 40
    assert store.prune(max_days=2, max_bytes=1, most=40) == 20


def test_as_many_stay_as_the_size_allows(store):
    rows = [prediction() for _ in range(1000)]
    store.write(rows)
    with store._transaction() as connection:
        count, used = store._database.held(connection)
    assert store.prune(max_days=None, max_bytes=used) == 0
    gone = store.prune(max_days=None, max_bytes=used // 2)
    assert gone == count - count * (used // 2) // used
    assert [each.prediction for each in stored(store)] == rows[gone:]


def test_store_is_held_to_its_size_by_the_oldest(store, traffic_url):
    rows = [prediction() for _ in range(6000)]
    store.write(rows)
    limit = 2_000_000
    while store.prune(max_days=None, max_bytes=limit):
        pass
    left = [each.prediction for each in stored(store)]
    assert left == rows[-len(left) :]
    assert 1500 < len(left) < 2200
    if "sqlite" in traffic_url:
        for _ in range(5):
            store.prune(max_days=None, max_bytes=limit)
        file = Path(traffic_url.removeprefix("sqlite:///"))
        assert file.stat().st_size < 1.2 * limit
    store.write([prediction()])
    assert stored(store)[-1].number == 6001  # numbers are never given twice


def test_numbers_go_on_when_all_predictions_were_deleted(store):
    store.write([prediction(time=0.0)])
    store.prune(max_days=1, max_bytes=None)
    store.write([prediction()])
    assert [each.number for each in stored(store)] == [2]


def test_committed_correction_survives_a_kill(store, traffic_url, tmp_path):
    rows = [prediction() for _ in range(300)]
    store.write(rows)
    report = tmp_path / "report"
    with report.open("w") as stdout:
        process = script("correct", traffic_url, *(row.id for row in rows), stdout=stdout)
        while report.read_text().count("\n") < 20:
            time.sleep(0.01)
        process.kill()
        process.wait()
    told = report.read_text().split()
    kept = [each.prediction for chunk in store.corrections() for each in chunk]
    assert kept[: len(told)] == told
    assert len(kept) <= len(told) + 1  # the one that was not told of yet


def test_other_schema_is_refused(store, traffic_url):
    store.write([prediction()])
    with store._transaction() as connection:
        connection.exec_driver_sql(f"UPDATE traffic_schema SET version = {SCHEMA_VERSION + 1}")
    again = TrafficStore(traffic_url)
    message = r"^traffic\.url: .* has schema version 2 of its traffic tables, and this"
    with pytest.raises(TrafficError, match=message):
        again.write([prediction()])
    again.close()


def test_creation_that_was_cut_short_is_completed(store, traffic_url):
    store.write([])
    with store._transaction() as connection:
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
    store = TrafficStore("postgresql://anna:s3cret@127.0.0.1:9/traffic")
    with pytest.raises(TrafficError, match=r"anna:\*\*\*@127\.0\.0\.1") as caught:
        store.write([prediction()])
    assert "s3cret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("traffic.db", "is no address of a database"),
        ("mysql://anna:s3cret@host/x", "mysql is not supported"),
        ("nodb:///x", "nodb is not supported"),
    ],
)
def test_address_that_is_none_is_named(url, message):
    with pytest.raises(TrafficError, match=message) as caught:
        TrafficStore(url)
    assert str(caught.value).startswith("traffic.url: ")
    assert "s3cret" not in str(caught.value)


def test_threads_share_one_store(store):
    rows = [[prediction() for _ in range(150)] for _ in range(4)]
    threads = [threading.Thread(target=store.write, args=(each,)) for each in rows]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {each.prediction for each in stored(store)} == {row for each in rows for row in each}
