"""The label store on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from digits.contract.label import NOT_A_DIGIT, Event, Labeller, Progress
from digits.contract.labelling import LabelStore
from digits.contract.traffic import TrafficStore
from digits.errors import TrafficError
from tests.integration.labelling import queued
from tests.integration.traffic import prediction

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def store(traffic_url):
    store = LabelStore(traffic_url)
    yield store
    store.close()


def script(url, labeller, stdout=subprocess.PIPE):
    """Start a process of :mod:`tests.integration.labelling`."""
    command = [sys.executable, "-m", "tests.integration.labelling", url, labeller]
    return subprocess.Popen(command, cwd=ROOT, stdout=stdout, text=True)


def happened(store):
    return [each for chunk in store.events(chunk=7) for each in chunk]


def test_samples_come_as_they_were_queued_the_most_useful_first(store):
    rows = [queued(), queued(suggestion=NOT_A_DIGIT, confidence=1.0, score=-0.5), queued(digit=0)]
    assert store.enqueue(rows) == 3
    seen = []
    for _ in rows:
        seen.append(store.next("rater_a"))
        assert store.next("rater_a") == seen[-1]  # until it is answered
        store.label(seen[-1].sample, "rater_a", 4)
    assert seen == rows
    assert store.next("rater_a") is None


def test_first_samples_of_a_later_call_come_before_second_ones_of_an_earlier(store):
    early, late = [queued(), queued()], [queued(), queued()]
    store.enqueue(early)
    store.enqueue(late)
    seen = []
    while (row := store.next("rater_a")) is not None:
        seen.append(row)
        store.label(row.sample, "rater_a", 4)
    assert seen == [late[0], early[0], late[1], early[1]]


def test_what_is_queued_already_stays_as_it_is(store):
    row = queued()
    assert store.enqueue([row, row]) == 1
    store.label(row.sample, "rater_a", 4)
    assert store.enqueue([row._replace(digit=9), queued()]) == 1
    assert [each.pixels for each in store.confirmed()] == [row.pixels]
    assert store.next("rater_b").sample != row.sample
    assert len(store.samples()) == 2


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"pixels": None}, "pixels of the sample .* cannot be None"),
        ({"pixels": b"12"}, "pixels"),
        ({"probabilities": b"12"}, "probabilities"),
        ({"probabilities": b"\xff" * 40}, "probabilities"),
        ({"confidence": 1.5}, "confidence"),
        ({"digit": 10}, "digit of the sample .* cannot be 10"),
        ({"digit": NOT_A_DIGIT}, "digit"),
        ({"control": 10}, "control"),
        ({"suggestion": 3.0}, "suggestion"),
        ({"score": float("nan")}, "score"),
        ({"time": None}, "time"),
        ({"method": ""}, "method"),
        ({"version": "\ud800"}, "version"),
    ],
)
def test_row_that_cannot_be_kept_is_named_and_nothing_is_queued(tmp_path, wrong, message):
    store = LabelStore(f"sqlite:///{tmp_path}/traffic.db")
    with pytest.raises(ValueError, match=message):
        store.enqueue([queued(), queued(**wrong)])
    assert not store.exists()
    store.close()


def test_two_labellers_do_not_get_the_same_sample(store, monkeypatch):
    rows = [queued(), queued()]
    store.enqueue(rows)
    assert store.next("rater_a") == rows[0]
    assert store.next("rater_b") == rows[1]
    assert store.next("rater_c") is None  # others are at both
    assert store.progress() == Progress(2, 0, 0)
    monkeypatch.setattr("digits.contract.labelling.LEASE_SECONDS", -1.0)
    assert store.next("rater_b") == rows[1]  # given back at once
    assert store.next("rater_c") == rows[1]


def test_skipped_sample_goes_to_others(store):
    rows = [queued(), queued()]
    store.enqueue(rows)
    first = store.skip(rows[0].sample, "rater_a")
    assert store.skip(rows[0].sample, "rater_a") == first
    assert store.next("rater_a") == rows[1]
    assert store.next("rater_b") == rows[0]
    assert store.confirmed() == []


def test_undo_takes_back_one_answer_after_the_other(store):
    rows = [queued(), queued()]
    store.enqueue(rows)
    assert store.undo("rater_a") is None
    store.label(rows[0].sample, "rater_a", 4)
    store.skip(rows[1].sample, "rater_a")
    store.label(rows[1].sample, "rater_b", 5)
    assert store.answered("rater_a") == 2
    assert store.undo("rater_a") == rows[1]
    assert store.next("rater_a") == rows[1]  # although another has labelled it
    assert store.undo("rater_a") == rows[0]
    assert store.undo("rater_a") is None
    assert [each.label for each in store.confirmed()] == [5]
    assert store.answered("rater_a") == 0
    assert [(each.action, each.of) for each in happened(store)[3:]] == [("undo", 2), ("undo", 1)]


def test_another_answer_takes_the_place_of_the_first_and_the_same_is_kept_once(store):
    row = queued()
    store.enqueue([row])
    first = store.label(row.sample, "rater_a", 4)
    assert store.label(row.sample, "rater_a", 4) == first
    second = store.label(row.sample, "rater_a", NOT_A_DIGIT)
    assert [(each.action, each.label, each.of) for each in happened(store)] == [
        ("label", 4, None),
        ("undo", None, first),
        ("label", NOT_A_DIGIT, None),
    ]
    assert [(each.label, each.number) for each in store.confirmed()] == [(NOT_A_DIGIT, second)]
    store.skip(row.sample, "rater_a")
    assert store.confirmed() == []


def test_most_labellers_decide_and_a_tie_counts_for_nobody(store):
    row, other = queued(), queued()
    store.enqueue([row, other])
    store.label(other.sample, "rater_d", 1)
    store.label(row.sample, "rater_a", 4)
    assert store.find(row.sample) == store.confirmed()[0]
    store.label(row.sample, "rater_b", 9)
    assert store.find(row.sample) is None
    assert store.progress() == Progress(2, 1, 1)
    assert store.next("rater_c") == row  # it needs another opinion
    deciding = store.label(row.sample, "rater_c", 9)
    (counts, _) = store.confirmed()
    assert (counts.label, counts.labeller, counts.number) == (9, "rater_b", deciding)
    assert counts.time == happened(store)[-1].time
    store.label(row.sample, "rater_d", 9)
    assert store.find(row.sample) == counts  # since then
    assert store.progress() == Progress(2, 2, 0)
    assert store.find("no such") is None


def test_labels_as_they_were_at_a_time(store):
    row = queued()
    store.enqueue([row])
    store.label(row.sample, "rater_a", 4)
    store.undo("rater_a")
    store.label(row.sample, "rater_a", 5)
    times = [each.time for each in happened(store)]
    assert times == sorted(times)
    assert store.confirmed(times[0]) == []
    told = [store.confirmed(each + 1e-6) for each in times]
    assert [[each.label for each in now] for now in told] == [[4], [], [5]]
    assert store.confirmed() == told[2]


def test_time_does_not_go_back_with_the_clock(store, monkeypatch):
    rows = [queued(), queued()]
    store.enqueue(rows)
    store.label(rows[0].sample, "rater_a", 4)
    before = time.time() - 3600
    monkeypatch.setattr("digits.contract.labelling.time.time", lambda: before)
    store.label(rows[1].sample, "rater_a", 4)
    first, second = happened(store)
    assert first.time == second.time


def test_withdrawn_labels_stay_as_events_and_their_samples_go_to_others(store):
    rows = [queued(), queued(), queued(control=7)]
    store.enqueue(rows)
    store.label(rows[0].sample, "rater_x", 1)
    store.label(rows[1].sample, "rater_x", 2)
    store.label(rows[2].sample, "rater_x", 0)
    store.label(rows[1].sample, "rater_a", 3)
    assert store.withdraw("rater_x", "rater_a") == 2
    assert store.withdraw("rater_x", "rater_a") == 0
    assert [each.label for each in store.confirmed()] == [3]
    assert store.confirmed()[0].number == happened(store)[-1].number
    assert [(each.labeller, each.action, each.of) for each in happened(store)[4:]] == [
        ("rater_a", "withdraw", 1),
        ("rater_a", "withdraw", 2),
    ]
    assert store.next("rater_x") is None
    store.label(rows[2].sample, "rater_a", 7)
    assert store.next("rater_a") == rows[0]
    assert store.labellers()[1] == Labeller("rater_x", 0, 0, 1, 0, 0, 2)


def test_labellers_are_measured_by_controls_and_by_each_other(store):
    rows = [queued() for _ in range(5)] + [queued(control=digit) for digit in range(5)]
    store.enqueue(rows)
    for i, row in enumerate(rows[:5]):
        store.label(row.sample, "rater_a", i)
        store.label(row.sample, "rater_b", min(i, 3))
    for row in rows[5:]:
        store.label(row.sample, "rater_a", row.control)
        store.label(row.sample, "rater_b", 0)
    store.skip(rows[0].sample, "rater_c")
    rater_a, rater_b, rater_c = store.labellers()
    assert rater_a == Labeller("rater_a", 5, 5, 0, 4, 5, 0)
    assert rater_b == Labeller("rater_b", 5, 1, 4, 4, 5, 0)
    assert rater_c == Labeller("rater_c", 0, 0, 0, 0, 0, 0)
    assert [each.is_doubtful for each in (rater_a, rater_b, rater_c)] == [False, True, False]
    assert {each.sample for each in store.confirmed()} == {row.sample for row in rows[:4]}
    assert store.progress() == Progress(5, 4, 1)


def test_controls_and_second_opinions_are_mixed_in_by_their_share(store):
    rows = [queued() for _ in range(160)] + [queued(control=1) for _ in range(40)]
    store.enqueue(rows)
    controls = {row.sample for row in rows if row.control is not None}
    seen = []
    for _ in range(60):
        seen.append(store.next("rater_a").sample)
        store.label(seen[-1], "rater_a", 1)
    assert len(set(seen)) == 60
    asked = sum(each in controls for each in seen)
    assert 4 <= asked <= 24  # 12 are expected
    assert [each for each in seen if each not in controls] == [
        row.sample for row in rows[: 60 - asked]
    ]
    for _ in range(60):
        row = store.next("rater_b")
        store.label(row.sample, "rater_b", 1)
    (rater_a, rater_b) = store.labellers()
    assert rater_a.agreed == rater_b.agreed == rater_b.compared
    assert 1 <= rater_b.compared <= 16  # 6 are expected


@pytest.mark.parametrize("label", [-2, 10, True, 3.0, "3", None])
def test_label_that_is_none_is_refused(store, label):
    with pytest.raises(ValueError, match=r"label: .* is none: 0 to 9, or -1"):
        store.label("x", "rater_a", label)


@pytest.mark.parametrize("name", ["", "a b", "x" * 33, "é", "a\n"])
def test_name_that_is_none_is_refused(store, name):
    for act in (store.next, store.undo, lambda each: store.skip("x", each)):
        with pytest.raises(ValueError, match=r"labeller: .* is no name"):
            act(name)
    with pytest.raises(ValueError, match=r"labeller: .* is no name"):
        store.withdraw("rater_a", name)
    assert not store.exists()


def test_sample_that_is_not_queued_is_refused(store):
    store.enqueue([queued()])
    with pytest.raises(LookupError, match="no sample nothing waits"):
        store.label("nothing", "rater_a", 3)
    assert happened(store) == []


def test_labelled_image_stays_when_the_traffic_is_deleted(store, traffic_url):
    traffic = TrafficStore(traffic_url)
    row = prediction(time=0.0)
    traffic.write([row])
    store.enqueue([queued(sample=row.id, pixels=row.pixels)])
    store.label(row.id, "rater_a", 3)
    assert traffic.prune(max_days=1, max_bytes=None) == 1
    assert traffic.find(row.id) is None
    assert store.confirmed()[0].pixels == row.pixels
    traffic.close()


def test_processes_share_the_work_and_lose_and_double_nothing(store, traffic_url):
    rows = [queued() for _ in range(120)]
    store.enqueue(rows)
    names = ["rater_a", "rater_b", "rater_c", "rater_d"]
    workers = [script(traffic_url, name) for name in names]
    followed: list[Event] = []
    goes_on = True
    while goes_on:  # a reader that goes on where it was misses none
        goes_on = any(worker.poll() is None for worker in workers)
        for chunk in store.events(after=followed[-1].number if followed else 0, chunk=5):
            followed += chunk
    told = [line.split() for worker in workers for line in worker.communicate()[0].splitlines()]
    assert [worker.returncode for worker in workers] == [0] * 4
    kept = [[str(each.number), each.sample, each.labeller] for each in followed]
    assert sorted(told, key=lambda line: int(line[0])) == kept
    assert len({(each.sample, each.labeller) for each in followed}) == len(followed)
    assert len(followed) < 1.4 * len(rows)  # second opinions apart, each is labelled once
    assert {each.sample for each in store.confirmed()} == {row.sample for row in rows}


def test_what_is_labelled_survives_a_kill(store, traffic_url, tmp_path):
    rows = [queued() for _ in range(2000)]
    store.enqueue(rows)
    report = tmp_path / "report"
    with report.open("w") as stdout:
        process = script(traffic_url, "rater_a", stdout=stdout)
        while report.read_text().count("\n") < 20:
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
        process.wait()
    told = [line.split()[1] for line in report.read_text().splitlines()]
    kept = [each.sample for each in happened(store)]
    assert kept[: len(told)] == told
    assert len(kept) <= len(told) + 1  # the one that was not told of yet
    assert store.next("rater_a").sample == rows[len(kept)].sample


def test_two_families_stand_in_one_database_with_their_own_versions(store, traffic_url):
    traffic = TrafficStore(traffic_url)
    assert not store.exists()
    traffic.write([prediction()])
    assert not store.exists()
    assert store.progress() == Progress(0, 0, 0)
    assert store.exists()
    with store._transaction() as connection:
        connection.exec_driver_sql("UPDATE labelling_schema SET version = 2")
    again = LabelStore(traffic_url)
    with pytest.raises(TrafficError, match="schema version 2 of its labelling tables"):
        again.next("rater_a")
    assert len(traffic.recent(5)) == 1
    traffic.close()
    again.close()
