"""Access to the traffic database: opened at the first use, created by one, faults in one message.

It holds the traffic store and, beside it, other families of tables.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import filelock
from sqlalchemy import URL, Connection, func, insert, inspect, make_url, select
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from digits.contract.tables import Family
from digits.contract.traffic_database import Database, Postgres, Sqlite
from digits.errors import MissingExtraError, TrafficError


class Access:
    """One family of tables in the database at an address; a subclass says which.

    Nothing is opened before the first use; what is not there is created then, by one of the
    processes that come together.

    Args:
        url: ``sqlite:///<path>`` or ``postgresql://<user>:<password>@<host>/<database>``.

    Raises:
        TrafficError: the address is none, or of another kind of database.
        MissingExtraError: the driver of the database is not installed.
    """

    family: ClassVar[Family]

    def __init__(self, url: str) -> None:
        parsed = _parsed(url)
        self.name = parsed.render_as_string(hide_password=True)
        self._database = _database(parsed)
        self._engine = self._database.engine
        self._driver: Any = self._engine.dialect.dbapi
        self._opening = threading.Lock()
        self._is_open = False

    def exists(self) -> bool:
        """Tell whether these tables are at the address; none is created.

        Raises:
            TrafficError: the database does not answer.
        """
        if not self._database.exists():
            return False
        with self._explained():
            return inspect(self._engine).has_table(self.family.schema.name)

    def close(self) -> None:
        """Close the connections; the next use opens new ones."""
        self._engine.dispose()

    @contextmanager
    def _transaction(self, *, writes: bool = False) -> Iterator[Connection]:
        """Give a connection; commit at the end, or take everything back on an error."""
        with self._explained():
            self._open()
            with self._engine.begin() as connection:
                if writes:
                    self._database.wait_for_turn(connection)
                yield connection

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what libraries raise into a TrafficError on one line."""
        try:
            yield
        except (SQLAlchemyError, self._driver.Error, filelock.Timeout, OSError) as error:
            cause = getattr(error, "orig", None) or error
            lines = str(cause).strip().splitlines() or [type(cause).__name__]
            message = f"traffic.url: {self.name} cannot be used: {lines[0]}"
            raise TrafficError(message) from error

    def _open(self) -> None:
        with self._opening:
            if self._is_open:
                return
            if not self.exists() or not self._has_schema():
                with self._database.created_once():
                    self.family.metadata.create_all(self._engine)
                    if not self._has_schema():
                        version = insert(self.family.schema).values(version=self.family.version)
                        with self._engine.begin() as connection:
                            connection.execute(version)
            self._is_open = True

    def _has_schema(self) -> bool:
        """Tell whether the tables are complete: the schema's number is written last."""
        family = self.family
        if not inspect(self._engine).has_table(family.schema.name):
            return False
        with self._engine.begin() as connection:
            found = connection.execute(select(func.max(family.schema.c.version))).scalar_one()
        if found not in (None, family.version):
            raise TrafficError(
                f"traffic.url: {self.name} has schema version {found} of its {family.name} tables, "
                f"and this installation uses {family.version}: use the installation that wrote "
                "them, or name another database"
            )
        return found is not None


def _parsed(url: str) -> URL:
    try:
        return make_url(url)
    except (ArgumentError, ValueError) as error:
        raise TrafficError(
            f"traffic.url: {url.partition('://')[0]} is no address of a database; write "
            f"sqlite:///<path> or postgresql://<user>:<password>@<host>/<database>"
        ) from error


def _database(url: URL) -> Database:
    kind = url.get_backend_name()
    if kind == "sqlite":
        return Sqlite(url)
    if kind not in ("postgresql", "postgres"):
        raise TrafficError(f"traffic.url: {kind} is not supported; use sqlite or postgresql")
    try:
        return Postgres(url)
    except ImportError as error:
        raise MissingExtraError("serve", "psycopg") from error
