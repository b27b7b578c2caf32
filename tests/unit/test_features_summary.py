"""What `task=features` says to type next."""

from __future__ import annotations

from digits.tasks.screens.features import _next
from digits.tracking.record import Record


def test_next_commands_go_to_the_same_stores(tmp_path):
    typed = ["task=features", "action=ingest", "features=redis", "traffic.url=sqlite:///t.db"]
    train, push, materialize = (
        command for command, _ in _next(Record(tmp_path, "features", "c0ffee", {}, typed, 0))
    )
    assert train.endswith(" features=redis")
    for command in (push, materialize):
        assert command.endswith(" features=redis traffic.url=sqlite:///t.db")
    plain, *_ = _next(Record(tmp_path, "features", "c0ffee", {}, ["task=features"], 0))
    assert plain[0].endswith(" features=local")
