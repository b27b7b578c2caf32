"""The tables of the traffic store: its schema, which grows only with ``SCHEMA_VERSION``."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
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
TRAFFIC = Family("traffic", SCHEMA_VERSION, metadata)

deployments = Table(
    "deployments",
    metadata,
    Column("id", String, primary_key=True),
    Column("started", Double, nullable=False),
    Column("kind", String, nullable=False),
    Column("host", String, nullable=False),
    Column("version", String),
    Column("settings", String),
)

# The checks also refuse numbers of numpy, which SQLite would keep as bytes.
predictions = Table(
    "predictions",
    metadata,
    Column("number", NUMBER, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    Column("time", Double, nullable=False, index=True),
    Column("key", String),
    Column("pixels", LargeBinary, CheckConstraint(f"length(pixels) = {PIXELS}")),
    Column(
        "probabilities",
        LargeBinary,
        CheckConstraint(f"length(probabilities) = {PROBABILITIES}"),
        nullable=False,
    ),
    Column("digit", SmallInteger, CheckConstraint("digit BETWEEN 0 AND 9"), nullable=False),
    Column("confidence", Double, CheckConstraint("confidence BETWEEN 0 AND 1"), nullable=False),
    Column("is_digit", Boolean),
    Column("version", String, nullable=False),
    Column("deployment", String, nullable=False),
    Column("source", String, nullable=False),
    # A number is never given twice, also when everything before was deleted: readers go by it.
    sqlite_autoincrement=True,
)

corrections = Table(
    "corrections",
    metadata,
    Column("number", NUMBER, primary_key=True),
    Column(
        "prediction",
        String,
        ForeignKey(predictions.c.id, ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("time", Double, nullable=False),
    Column("label", SmallInteger, CheckConstraint("label BETWEEN 0 AND 9"), nullable=False),
    Column("origin", String, nullable=False),
    sqlite_autoincrement=True,
)
