"""The traffic store on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from digits.contract.prediction import Deployment, Served, new_id
from tests.integration.traffic import prediction, stored

ROOT = Path(__file__).resolve().parents[2]


def script(name, *arguments, stdout=subprocess.PIPE):
    """Start one of the processes of :mod:`tests.integration.traffic`."""
    command = [sys.executable, "-m", "tests.integration.traffic", name, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=stdout, text=True)


def test_what_is_written_is_read_as_it_was(traffic_store):
    rows = [
        prediction(),
        prediction(key="my own é 7", pixels=None, is_digit=None, confidence=1.0, digit=0),
        prediction(pixels=bytes(784), is_digit=False, version="digits/4", source="v2"),
    ]
    traffic_store.write(rows)
    assert [each.prediction for each in stored(traffic_store)] == rows
    for row in rows:
        assert traffic_store.find(row.id).prediction == row
        assert type(traffic_store.find(row.id).prediction.is_digit) is type(row.is_digit)
    assert traffic_store.find(new_id()) is None


@pytest.mark.parametrize("count", [0, 1, 127, 128, 129, 1000])
def test_batches_of_any_size_are_written_whole_and_in_order(traffic_store, count):
    rows = [prediction() for _ in range(count)]
    traffic_store.write(rows)
    found = stored(traffic_store)
    assert [each.prediction for each in found] == rows
    assert [each.number for each in found] == sorted({each.number for each in found})


def test_writing_again_doubles_nothing(traffic_store):
    rows = [prediction() for _ in range(300)]
    traffic_store.write(rows[:200])
    traffic_store.write(rows)
    traffic_store.write(rows[::-1])
    assert {each.prediction for each in stored(traffic_store)} == set(rows)
    assert len(stored(traffic_store)) == 300


def test_four_processes_create_one_store_and_lose_and_double_nothing(traffic_store, traffic_url):
    writers = [script("write", traffic_url, 1500) for _ in range(4)]
    reported = []
    numbers = []
    follow, last = True, 0
    while follow:  # a reader that goes on where it was misses none
        follow = any(writer.poll() is None for writer in writers)
        if traffic_store.exists():
            for chunk in traffic_store.read(after=last, pixels=False, chunk=100):
                numbers += [each.number for each in chunk]
                last = numbers[-1]
        time.sleep(0.01)
        if not follow:
            reported = [line for writer in writers for line in writer.communicate()[0].split()]
    assert [writer.returncode for writer in writers] == [0] * 4
    found = stored(traffic_store)
    assert sorted(each.prediction.id for each in found) == sorted(reported)
    assert len(found) == 6000
    assert numbers == [each.number for each in found]


def test_range_of_time_and_version_is_read(traffic_store):
    start = time.time()
    rows = [prediction(time=start + i, version=f"digits/{1 + i % 2}") for i in range(20)]
    traffic_store.write(rows[10:])
    traffic_store.write(rows[:10])  # later, from another worker

    def read(**wanted):
        return {
            each.prediction for chunk in traffic_store.read(chunk=3, **wanted) for each in chunk
        }

    assert read() == set(rows)
    assert [len(chunk) for chunk in traffic_store.read(chunk=8)] == [8, 8, 4]
    assert read(since=start + 5, until=start + 12) == set(rows[5:12])
    assert read(until=start + 8, version="digits/2") == set(rows[1:8:2])
    assert read(since=start + 100) == set()
    assert {each.pixels for each in read(pixels=False)} == {None}
    assert [each.prediction for each in traffic_store.recent(3)] == rows[7:10]
    assert traffic_store.recent(1, pixels=False)[0].prediction == rows[9]._replace(pixels=None)
    (one,) = [each for each in traffic_store.served() if each.version == "digits/1"]
    assert one == Served("test", "digits/1", 10, start, start + 18)
    assert [each.version for each in traffic_store.served()] == ["digits/1", "digits/2"]
    traffic_store.write([prediction(time=start - 5, version="digits/8")])
    assert [each.version for each in traffic_store.served()] == ["digits/8", "digits/1", "digits/2"]
    assert traffic_store.served("digits/1") == [one]
    assert traffic_store.served("digits/9") == []


def test_newest_correction_counts_and_all_are_kept(traffic_store):
    row, other = prediction(), prediction()
    traffic_store.write([row, other])
    assert traffic_store.find(row.id).suggestion is None
    assert traffic_store.correct(row.id, 8, origin="page")
    assert traffic_store.correct(row.id, 0, origin="api")
    assert [each.suggestion for each in stored(traffic_store)] == [0, None]
    first, second = (each for chunk in traffic_store.corrections(chunk=1) for each in chunk)
    assert (first.prediction, first.label, first.origin) == (row.id, 8, "page")
    assert (second.prediction, second.label, second.origin) == (row.id, 0, "api")
    assert abs(second.time - time.time()) < 20
    assert list(traffic_store.corrections(after=first.number)) == [[second]]
    assert list(traffic_store.corrections(chunk=1)) == [[first], [second]]
    assert traffic_store.correct(other.id, 9, origin="page")
    (found,) = traffic_store.corrections(of=other.id)
    assert [(each.prediction, each.label) for each in found] == [(other.id, 9)]
    assert list(traffic_store.corrections(of=row.id)) == [[first, second]]


def test_correction_of_nothing_is_told_and_not_kept(traffic_store):
    traffic_store.write([prediction()])
    assert not traffic_store.correct(new_id(), 8, origin="page")
    assert list(traffic_store.corrections()) == []


@pytest.mark.parametrize("label", [-1, 10, True, 3.0, "3", None])
def test_label_that_is_no_digit_is_refused(traffic_store, label):
    with pytest.raises(ValueError, match=r"label: .* is no digit from 0 to 9"):
        traffic_store.correct(new_id(), label, origin="page")


def test_deployment_is_noted_once(traffic_store):
    first = Deployment("d1", 1.5, "local", "here", "digits/3", "c" * 64)
    traffic_store.deploy(first)
    traffic_store.deploy(first._replace(started=2.0))
    assert traffic_store.deployment("d1") == first
    assert traffic_store.deployment("d2") is None


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
def test_refused_value_is_told_and_nothing_of_the_batch_is_written(traffic_store, wrong):
    if wrong == {"time": "now"} and "sqlite" in traffic_store.name:
        pytest.skip("SQLite takes any type")
    pixels = b"\x61" * 784
    with pytest.raises(ValueError, match=r"refuses a prediction: (?!None)\S") as caught:
        traffic_store.write([prediction(), prediction(**{"pixels": pixels} | wrong)])
    assert "\n" not in str(caught.value)
    assert "aaa" not in str(caught.value)
    assert stored(traffic_store) == []


def test_committed_correction_survives_a_kill(traffic_store, traffic_url, tmp_path):
    rows = [prediction() for _ in range(300)]
    traffic_store.write(rows)
    report = tmp_path / "report"
    with report.open("w") as stdout:
        process = script("correct", traffic_url, *(row.id for row in rows), stdout=stdout)
        while report.read_text().count("\n") < 20:
            time.sleep(0.01)
        process.kill()
        process.wait()
    told = report.read_text().split()
    kept = [each.prediction for chunk in traffic_store.corrections() for each in chunk]
    assert kept[: len(told)] == told
    assert len(kept) <= len(told) + 1  # the one that was not told of yet


def test_threads_share_one_store(traffic_store):
    rows = [[prediction() for _ in range(150)] for _ in range(4)]
    threads = [threading.Thread(target=traffic_store.write, args=(each,)) for each in rows]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {each.prediction for each in stored(traffic_store)} == {
        row for each in rows for row in each
    }
