"""Tables that belong together: a family has one schema version, and a database holds several."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, MetaData, Table

#: Type of a primary key that grows; only the very type INTEGER makes SQLite's row number of it.
NUMBER = BigInteger().with_variant(Integer, "sqlite")


class Family:
    """Tables that are created together and change together.

    Beside them stands ``<name>_schema``, which holds the version; it is written last.

    Args:
        name: what the tables are for, for example ``traffic``.
        version: of their schema; goes up whenever a table changes.
        metadata: holds the tables, which nobody else has.

    Attributes:
        schema: table of the version.
    """

    def __init__(self, name: str, version: int, metadata: MetaData) -> None:
        self.name = name
        self.version = version
        self.metadata = metadata
        self.schema = Table(
            f"{name}_schema", metadata, Column("version", Integer, primary_key=True)
        )
