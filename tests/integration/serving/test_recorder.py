"""Keeping predictions off the request path: in time, within bounds, through faults and kills."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from digits.contract.traffic import DAY, TrafficStore
from digits.errors import ConfigError
from serving.recorder import Recorder
from serving.settings import Settings, Traffic
from tests.integration.traffic import prediction, recorder, stored, until

ROOT = Path(__file__).resolve().parents[3]


def test_prediction_is_written_soon_and_was_pending_until_then(start_recorder, traffic_store):
    taken, row = start_recorder(), prediction()
    assert taken.put(row)
    assert taken.pending(row.id)
    until(lambda: not taken.pending(row.id))
    assert traffic_store.find(row.id).prediction == row
    assert (taken.written, taken.dropped, taken.depth) == (1, 0, 0)
    assert traffic_store.deployment("test").kind == "process"


def test_close_writes_what_waits(start_recorder, traffic_store):
    taken = start_recorder(flush_seconds=60)
    rows = [prediction() for _ in range(3000)]
    assert {taken.put(row) for row in rows} == {True}
    begin = time.monotonic()
    assert taken.close(20)
    assert time.monotonic() - begin < 15
    assert [each.prediction for each in stored(traffic_store)] == rows
    assert taken.written == 3000


def test_queue_that_fills_is_written_before_its_time(start_recorder, traffic_store):
    taken = start_recorder(flush_seconds=60, queue=100)
    time.sleep(0.1)
    assert {taken.put(prediction()) for _ in range(51)} == {True}
    until(lambda: taken.written == 51)


def test_full_queue_drops_and_counts_and_never_waits(start_recorder, traffic_store):
    taken = start_recorder(flush_seconds=60, queue=40, url="postgresql://nobody@127.0.0.1:9/none")
    for _ in range(100):  # one that waited would wait for the test's time limit
        taken.put(prediction())
    assert (taken.depth, taken.dropped, taken.written) == (40, 60, 0)
    assert not taken.close(0.2)
    assert taken.dropped == 100


def test_of_many_at_once_those_are_kept_for_which_there_is_room(start_recorder, traffic_store):
    taken, rows = start_recorder(flush_seconds=60, queue=40), [prediction() for _ in range(60)]
    assert taken.put_many(rows[:15]) == 15
    assert taken.put_many(rows[15:]) == 25  # and it is written before its time
    until(lambda: taken.depth == 0)
    assert [each.prediction for each in stored(traffic_store)] == rows[:40]
    assert (taken.written, taken.dropped) == (40, 20)


def test_no_images_are_kept_where_they_are_not_wanted(start_recorder, traffic_store, traffic_url):
    taken, row = start_recorder(images=False), prediction(pixels=b"secret.." * 98)
    taken.put(row)
    taken.close(10)
    assert stored(traffic_store)[0].prediction == row._replace(pixels=None)
    if "sqlite" in traffic_url:
        file = Path(traffic_url.removeprefix("sqlite:///"))
        for each in file.parent.iterdir():
            assert b"secret.." not in each.read_bytes()


def test_refused_prediction_is_dropped_alone(start_recorder, traffic_store, caplog):
    taken = start_recorder()
    rows = [prediction(), prediction(digit=11), prediction(), prediction(key="\ud800")]
    for row in rows:
        taken.put(row)
    until(lambda: taken.depth == 0)
    assert [each.prediction for each in stored(traffic_store)] == [rows[0], rows[2]]
    assert (taken.written, taken.dropped) == (2, 2)
    assert caplog.text.count("the traffic store refuses a prediction") == 2


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    batches=st.lists(st.integers(1, 300), min_size=1, max_size=6),
    flush=st.sampled_from([0.001, 0.02, 0.2]),
    queue=st.sampled_from([64, 500, 10_000]),
)
def test_every_prediction_is_written_once_or_counted_as_dropped(
    tmp_path_factory, batches, flush, queue
):
    url = f"sqlite:///{tmp_path_factory.mktemp('traffic')}/traffic.db"
    taken = recorder(url, flush_seconds=flush, queue=queue)
    queued, lock = [], threading.Lock()

    def put(count):
        rows = [prediction() for _ in range(count)]
        mine = [row for row in rows if taken.put(row)]
        with lock:
            queued.extend(mine)

    threads = [threading.Thread(target=put, args=(count,)) for count in batches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert taken.close(30)
    store = TrafficStore(url)
    found = [each.prediction for each in stored(store)]
    store.close()
    assert sorted(found) == sorted(queued)
    assert taken.written == len(queued)
    assert taken.written + taken.dropped == sum(batches)


def test_locked_store_makes_predictions_wait_and_none_is_lost(
    tmp_path, monkeypatch, caplog, start_recorder
):
    monkeypatch.setattr("digits.contract.traffic_database.LOCKED_SECONDS", 0.1)
    url = f"sqlite:///{tmp_path}/traffic.db"
    taken = start_recorder(url)
    rows = [prediction() for _ in range(10)]
    taken.put(rows[0])
    until(lambda: taken.written == 1)
    other = sqlite3.connect(tmp_path / "traffic.db")
    other.execute("BEGIN IMMEDIATE")
    for row in rows[1:]:
        taken.put(row)
    until(lambda: taken.failures >= 2)
    assert taken.pending(rows[1].id)
    assert "database is locked; 9 predictions wait" in caplog.text
    assert not any(record.exc_info for record in caplog.records)  # it is no fault of the program
    other.rollback()
    other.close()
    until(lambda: taken.written == 10)
    store = TrafficStore(url)
    assert [each.prediction for each in stored(store)] == rows
    store.close()


@pytest.mark.parametrize(
    "traffic_url", [pytest.param("postgres", marks=pytest.mark.service)], indirect=True
)
def test_server_goes_and_comes_back(postgres, traffic_url, start_recorder):
    taken = start_recorder()
    taken.put(prediction())
    until(lambda: taken.written == 1)
    postgres.stop()
    rows = [prediction() for _ in range(500)]
    for row in rows:
        assert taken.put(row)
    until(lambda: taken.failures >= 1)
    postgres.start()
    until(lambda: taken.written == 501, 30)
    store = TrafficStore(traffic_url)
    assert [each.prediction for each in stored(store)][1:] == rows
    store.close()


def test_old_predictions_are_deleted_by_and_by(start_recorder, traffic_store, monkeypatch):
    monkeypatch.setattr("serving.recorder.PRUNE_SECONDS", 0.1)
    taken = start_recorder(max_days=1.0)
    old = [prediction(time=time.time() - 2 * DAY) for _ in range(5000)]
    new = prediction()
    for row in [*old, new]:
        taken.put(row)
    until(lambda: taken.depth == 0)
    until(lambda: len(stored(traffic_store)) == 1)
    assert stored(traffic_store)[0].prediction == new


def test_store_is_held_to_its_size_while_it_is_written(start_recorder, traffic_store, monkeypatch):
    monkeypatch.setattr("serving.recorder.PRUNE_SECONDS", 0.1)
    taken = start_recorder(max_bytes=1_000_000)
    rows = [prediction() for _ in range(5000)]
    assert taken.put_many(rows) == 5000
    until(lambda: taken.depth == 0)
    until(lambda: len(stored(traffic_store)) < 2500, 20)
    assert stored(traffic_store)[-1].prediction == rows[-1]


def test_queue_is_bounded_while_a_batch_is_written(start_recorder, monkeypatch):
    may_go_on = threading.Event()
    write = TrafficStore.write
    monkeypatch.setattr(TrafficStore, "write", lambda *a: may_go_on.wait(20) and write(*a))
    taken = start_recorder(queue=10)
    assert taken.put_many([prediction() for _ in range(8)]) == 8
    until(lambda: taken._writing)
    assert taken.put_many([prediction() for _ in range(8)]) == 2
    may_go_on.set()
    until(lambda: taken.written == 10)
    assert taken.dropped == 6


def test_recorder_that_has_nothing_to_do_rests(start_recorder, monkeypatch):
    flushes = []
    flush = Recorder._flush
    monkeypatch.setattr(Recorder, "_flush", lambda self: flushes.append(1) or flush(self))
    taken = start_recorder(flush_seconds=0.1)
    time.sleep(1)
    assert taken.close(5)
    assert 1 <= len(flushes) <= 12


def test_recorder_rests_ever_longer_where_the_store_does_not_answer(start_recorder):
    taken = start_recorder(flush_seconds=0.1, url="postgresql://nobody@127.0.0.1:9/none")
    until(lambda: taken.failures >= 1)
    time.sleep(1.5)
    assert taken.failures <= 4


def test_what_cannot_be_written_before_the_end_is_given_up_and_told(start_recorder, caplog):
    taken = start_recorder(url="postgresql://nobody@127.0.0.1:9/none")
    taken.put(prediction())
    assert not taken.close(0.3)
    assert taken.dropped == 1
    assert "1 predictions could not be written before the end" in caplog.text
    until(lambda: not taken._thread.is_alive(), 15)


def test_recorder_without_a_place_is_refused():
    with pytest.raises(ValueError, match=r"^traffic\.url is null: there is nowhere"):
        Recorder(Traffic(url=None), deployment="test")


def test_kill_loses_no_more_than_the_last_moment(traffic_store, traffic_url, tmp_path):
    flush, report = 0.1, tmp_path / "report"
    command = [sys.executable, "-m", "tests.integration.traffic", "record", traffic_url, str(flush)]
    with report.open("w") as stdout, subprocess.Popen(command, cwd=ROOT, stdout=stdout) as process:
        until(lambda: report.read_text().count("\n") > 2500, 60)
        process.kill()
    queued = [line.split() for line in report.read_text().splitlines()]
    kept = {each.prediction.id for each in stored(traffic_store)}
    lost = [(identifier, float(when)) for identifier, when in queued if identifier not in kept]
    assert process.returncode == -signal.SIGKILL
    assert len(kept) > 1000
    # What was queued first is written first: there is no hole before the last moment.
    assert [identifier for identifier, _ in lost] == [
        identifier for identifier, _ in queued[len(queued) - len(lost) :]
    ]
    end = float(queued[-1][1])
    assert all(end - when < flush + 1.0 for _, when in lost)  # and a commit, on a busy disk


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("traffic.db", "write sqlite:///"),
        ("mysql://host/traffic", "write sqlite:///"),
        ("postgresql://user:s3cret@host/traffic", "as PGPASSWORD"),
    ],
)
def test_wrong_address_is_refused_before_the_service_starts(url, message):
    with pytest.raises(ConfigError, match=message) as caught:
        Settings.of({"pointer": "model", "traffic": {"url": url}})
    assert "serving.traffic.url" in str(caught.value)
    assert "s3cret" not in str(caught.value)
