"""What a drift monitor has found so far, in the database of the traffic store.

The task writes it; the task, the service's panel and Prometheus read it.
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import (
    CheckConstraint,
    Column,
    Double,
    Integer,
    MetaData,
    String,
    Table,
    insert,
    select,
)

from digits.contract.tables import NUMBER, Family
from digits.contract.traffic_access import Access

SCHEMA_VERSION = 1
STATUSES = ("steady", "shifted", "harmful", "unknown")

metadata = MetaData()
DRIFT = Family("drift", SCHEMA_VERSION, metadata)

windows = Table(
    "drift_windows",
    metadata,
    Column("number", NUMBER, primary_key=True),
    Column("time", Double, nullable=False),
    Column("version", String, nullable=False),
    Column("run_id", String, nullable=False),
    Column("name", String, nullable=False),
    Column("first", Double),
    Column("last", Double),
    Column("images", Integer, nullable=False),
    Column("status", String, nullable=False),
    Column("chance", Double),
    Column("loudest", String),
    Column("foreign_share", Double),
    Column("before", Double),
    Column("accuracy", Double),
    Column("low", Double),
    Column("high", Double),
    Column("labels", Integer, nullable=False),
    CheckConstraint(f"status IN {STATUSES}"),
    sqlite_autoincrement=True,
)


class Watched(NamedTuple):
    """What was found of one window.

    Attributes:
        time: when it was judged, in seconds since 1970 (UTC).
        version: of the model whose reference it was held against, ``<name>/<number>``.
        run_id: of the tracked run.
        name: of the window, in words.
        first, last: time of its first and last image; None: not known.
        images: how many it has.
        status: steady, shifted (and no worse for it), harmful, or unknown (cannot tell).
        chance: share of clean windows that look as unusual; None: cannot tell.
        loudest: the signal that is least likely by chance.
        foreign_share: of the images, those that are not of the reference's kind, in 0..1.
        before: accuracy on the reference, in 0..1.
        accuracy, low, high: estimate for the window with its 95 % interval; None: cannot tell.
        labels: confirmed labels that the estimate goes by.
    """

    time: float
    version: str
    run_id: str
    name: str
    first: float | None
    last: float | None
    images: int
    status: str
    chance: float | None
    loudest: str | None
    foreign_share: float | None
    before: float | None
    accuracy: float | None
    low: float | None
    high: float | None
    labels: int


class DriftHistory(Access):
    """Findings in the order in which they were made, at the address of a traffic store.

    Every method raises TrafficError when the database cannot be reached or written, is locked for
    too long, full, or of another schema.
    """

    family = DRIFT

    def add(self, found: Watched) -> None:
        """Keep a finding; when it returns, it is committed."""
        with self._transaction(writes=True) as connection:
            connection.execute(insert(windows), found._asdict())

    def recent(self, count: int = 100) -> list[Watched]:
        """Return the last findings, the oldest of them first; none where there is no table yet."""
        if not self.exists():
            return []
        columns = [windows.c[name] for name in Watched._fields]
        query = select(*columns).order_by(windows.c.number.desc()).limit(count)
        with self._transaction() as connection:
            found = connection.execute(query).all()
        return [Watched(*row) for row in reversed(found)]
