"""The tables of the label store, beside those of the traffic store.

What is queued and what labellers did is only ever added to; leases are forgotten.
"""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
)

from digits.contract.prediction import PIXELS, PROBABILITIES
from digits.contract.tables import NUMBER, Family

SCHEMA_VERSION = 1

metadata = MetaData()
LABELLING = Family("labelling", SCHEMA_VERSION, metadata)

#: ``place``: in the call that queued it, from 0. The pixels are its own, so that a sample outlives
#: the prediction, which the traffic store deletes one day.
queue = Table(
    "label_queue",
    metadata,
    Column("number", NUMBER, primary_key=True),
    Column("place", Integer, nullable=False),
    Column("sample", String, nullable=False, unique=True),
    Column("pixels", LargeBinary, CheckConstraint(f"length(pixels) = {PIXELS}"), nullable=False),
    Column(
        "probabilities",
        LargeBinary,
        CheckConstraint(f"length(probabilities) = {PROBABILITIES}"),
        nullable=False,
    ),
    Column("digit", SmallInteger, nullable=False),
    Column("confidence", Double, nullable=False),
    Column("version", String, nullable=False),
    Column("score", Double, nullable=False),
    Column("method", String, nullable=False),
    Column("time", Double, nullable=False),
    Column("control", SmallInteger),
    Column("suggestion", SmallInteger),
    sqlite_autoincrement=True,
)

events = Table(
    "label_events",
    metadata,
    Column("number", NUMBER, primary_key=True),
    Column("sample", String, ForeignKey(queue.c.sample), nullable=False),
    Column("time", Double, nullable=False),
    Column("labeller", String, nullable=False),
    Column("action", String, nullable=False),
    Column("label", SmallInteger, CheckConstraint("label BETWEEN -1 AND 9")),
    Column("of", NUMBER, ForeignKey("label_events.number"), unique=True),
    CheckConstraint("(action = 'label') = (label IS NOT NULL)"),
    CheckConstraint("(action IN ('undo', 'withdraw')) = (of IS NOT NULL)"),
    sqlite_autoincrement=True,
)

#: what each labeller has before them, and until when it is kept for them
leases = Table(
    "label_leases",
    metadata,
    Column("labeller", String, primary_key=True),
    Column("sample", String, ForeignKey(queue.c.sample), nullable=False),
    Column("until", Double, nullable=False),
)
