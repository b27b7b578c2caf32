"""What the traffic store forgets: by age, by size, the oldest first and a step at a time."""

from __future__ import annotations

import time
from pathlib import Path

from digits.contract.traffic import DAY
from tests.integration.traffic import prediction, stored


def test_old_predictions_go_with_their_corrections(traffic_store):
    now = time.time()
    old = [prediction(time=now - 3 * DAY) for _ in range(250)]
    new = [prediction(time=now - DAY) for _ in range(10)]
    traffic_store.write(old[:100] + new + old[100:])
    traffic_store.correct(old[0].id, 1, origin="page")
    traffic_store.correct(new[0].id, 1, origin="page")
    assert traffic_store.prune(max_days=None, max_bytes=None) == 0
    steps = [traffic_store.prune(max_days=2, max_bytes=None, most=100) for _ in range(4)]
    assert steps == [100, 100, 50, 0]
    assert [each.prediction for each in stored(traffic_store)] == new
    assert [each.prediction for chunk in traffic_store.corrections() for each in chunk] == [
        new[0].id
    ]


def test_age_and_size_together_delete_no_more_than_one_step(traffic_store):
    now = time.time()
    rows = [prediction(time=now - 3 * DAY * (number < 25)) for number in range(100)]
    traffic_store.write(rows)
    assert traffic_store.prune(max_days=2, max_bytes=1, most=40) == 40
    assert [each.prediction for each in stored(traffic_store)] == rows[40:]
    assert traffic_store.prune(max_days=2, max_bytes=1, most=40) == 40
    assert traffic_store.prune(max_days=2, max_bytes=1, most=40) == 20


def test_as_many_stay_as_the_size_allows(traffic_store):
    rows = [prediction() for _ in range(1000)]
    traffic_store.write(rows)
    with traffic_store._transaction() as connection:
        count, used = traffic_store._database.held(connection)
    assert count == 1000
    assert traffic_store.prune(max_days=None, max_bytes=used) == 0
    gone = traffic_store.prune(max_days=None, max_bytes=used // 2)
    assert gone == count - count * (used // 2) // used
    assert [each.prediction for each in stored(traffic_store)] == rows[gone:]


def test_store_is_held_to_its_size_by_the_oldest(traffic_store, traffic_url):
    rows = [prediction() for _ in range(6000)]
    traffic_store.write(rows)
    limit = 2_000_000
    while traffic_store.prune(max_days=None, max_bytes=limit):
        pass
    left = [each.prediction for each in stored(traffic_store)]
    assert left == rows[-len(left) :]
    assert 1500 < len(left) < 2200
    if "sqlite" in traffic_url:
        for _ in range(5):
            traffic_store.prune(max_days=None, max_bytes=limit)
        file = Path(traffic_url.removeprefix("sqlite:///"))
        assert file.stat().st_size < 1.2 * limit
    traffic_store.write([prediction()])
    assert stored(traffic_store)[-1].number == 6001  # numbers are never given twice


def test_numbers_go_on_when_all_predictions_were_deleted(traffic_store):
    traffic_store.write([prediction(time=0.0)])
    traffic_store.prune(max_days=1, max_bytes=None)
    traffic_store.write([prediction()])
    assert [each.number for each in stored(traffic_store)] == [2]


def test_nothing_is_forgotten_where_nothing_is_kept(traffic_store):
    traffic_store.write([])
    assert traffic_store.prune(max_days=1, max_bytes=1) == 0
