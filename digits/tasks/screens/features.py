"""What `task=features` shows: what came in, what is there now, what to type next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pyarrow.compute as pc
from rich.table import Table

from digits.features.ingest import Ingested
from digits.features.parts import newest
from digits.features.store import FeatureStore
from digits.features.views import KNOWN, LABELS, SAMPLE, VIEWS, WRITTEN, View
from digits.tasks import commands
from digits.tasks.screens import screen
from digits.tracking.record import Record

Rows = list[tuple[str, str]]


def ingested(done: Ingested) -> Rows:
    """Return what `action=ingest` has done, as (name, value) pairs."""
    state = "new" if done.is_new else "all there already"
    return [("data", done.data), ("samples", f"{done.samples:,}, {state}")]


def pushed(predictions: int, labels: int) -> Rows:
    """Return what `action=push` has done."""
    return [("brought in", f"{predictions:,} predictions, {labels:,} changes of labels")]


def materialized(written: Mapping[str, int]) -> Rows:
    """Return what `action=materialize` has done."""
    told = ", ".join(f"{name} {count:,}" for name, count in written.items() if count)
    return [("brought online", told or "nothing: there is nothing yet")]


def as_of(store: FeatureStore) -> str | None:
    """Return the time from which on the labels are as they are now, in ISO 8601; None: no labels.

    A training as of then learns all that is known, and the same again while nothing comes in.
    """
    rows = store.parts.read(LABELS, [KNOWN, WRITTEN])
    times = [pc.max(rows[name]).as_py() for name in (KNOWN, WRITTEN)] if len(rows) else []
    return max(times).isoformat() if times else None


def show(record: Record, store: FeatureStore, rows: Rows, action: str) -> None:
    """Print what was done, every view with what it holds, and what to type next."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("view", style="bold")
    for name in ("rows", "samples"):
        table.add_column(name, justify="right")
    for name in ("known since", "last"):
        table.add_column(name)
    for view in VIEWS.values():
        table.add_row(view.name, *_held(store, view))
    where = [("feature store", str(store.root)), ("online", str(store.online))]
    following = _next(record)
    if action in ("push", "materialize"):
        del following[1 if action == "push" else 2]
    screen.show([*rows, *where, *_labels(store)], following, tables=[table])


def _next(record: Record) -> list[tuple[str, str]]:
    """Return what to type next, of the same stores."""
    same, chosen = commands.same(record, commands.FIRST_DATA), commands.again(record, ("features",))
    here = [*chosen, *commands.again(record, ("traffic",)), *same]
    if not any(text.startswith("features=") for text in chosen):
        chosen = ["features=local", *chosen]
    return [
        (commands.run(*chosen, *same), "learn from it, as known now"),
        (commands.run("task=features", "action=push", *here), "bring in what was served, labelled"),
        (commands.run("task=features", "action=materialize", *here), "bring all of it online"),
    ]


def _held(store: FeatureStore, view: View) -> tuple[str, str, str, str]:
    rows = store.parts.read(view, [SAMPLE, KNOWN])
    if not len(rows):
        return "0", "0", "", ""
    ends = pc.min_max(rows[KNOWN]).as_py()
    times = (f"{ends[end]:%Y-%m-%d %H:%M:%S} UTC" for end in ("min", "max"))
    first, last = times
    return f"{len(rows):,}", f"{pc.count_distinct(rows[SAMPLE]).as_py():,}", first, last


def _labels(store: FeatureStore) -> Rows:
    """Return whose labels count now."""
    rows = newest(store.parts.read(LABELS, [SAMPLE, "label", "origin", "labeller", KNOWN, WRITTEN]))
    counted = rows.filter(pc.greater_equal(rows["label"], 0))
    origins = Counter(counted["origin"].to_pylist())
    told = ", ".join(f"{count:,} {origin}" for origin, count in sorted(origins.items()))
    return [("labels that count", told or "none")]
