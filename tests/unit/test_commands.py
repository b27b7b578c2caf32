"""What was typed here is typed again for the next task."""

from __future__ import annotations

from pathlib import Path

import pytest

from digits.tasks import commands
from digits.tracking.record import Record

TYPED = [
    "task=drift",
    "+traffic.url=sqlite:///mine.db",
    "paths.root=/x",
    "data@other=uci",
    "last=9",
]


@pytest.fixture
def record(tmp_path: Path) -> Record:
    return Record(tmp_path, "drift", "d" * 64, {}, TYPED, 3)


def test_only_what_leads_to_the_same_places_is_typed_again(record: Record) -> None:
    assert commands.again(record) == ["paths.root=/x", "data@other=uci"]
    assert commands.again(record, ("traffic",)) == ["+traffic.url=sqlite:///mine.db"]


def test_a_service_keeps_its_traffic_under_a_key_of_its_own(record: Record) -> None:
    assert commands.serving(record) == ["serving.traffic.url=sqlite:///mine.db"]


def test_data_that_an_experiment_chose_is_named(record: Record) -> None:
    assert commands.same(record, "mnist") == ["paths.root=/x", "data@other=uci"]
    record = Record(record.folder, "drift", "d" * 64, {}, ["paths.root=/x"], 3)
    assert commands.same(record, "mnist") == ["data=mnist", "paths.root=/x"]
    assert commands.same(record, commands.FIRST_DATA) == ["paths.root=/x"]
