"""What SQLite and PostgreSQL do in their own ways for the traffic store.

Each opens connections, is created once, takes many rows quickly, and tells how much it holds.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

from filelock import FileLock
from sqlalchemy import URL, Connection, Engine, create_engine, event, text

from digits.contract.prediction import Prediction
from digits.contract.traffic_tables import predictions
from digits.errors import TrafficError

LOCKED_SECONDS = 10.0  # how long another process may be writing
ANSWER_SECONDS = 5  # until a server is taken for gone
CHUNK = 128  # rows of one statement
PAGE = 8192  # bytes: eight predictions with little waste
WAL_PAGES = 2000  # 16 MB: few checkpoints, each of which waits for the disk
LOCK = 0x_D161_75  # PostgreSQL's advisory locks are numbers: ours

_COLUMNS = ", ".join(Prediction._fields)


class Database(ABC):
    """One kind of database; its methods are called inside a transaction."""

    engine: Engine

    def exists(self) -> bool:
        """Tell, without creating anything, whether there is something to connect to."""
        return True

    @abstractmethod
    def created_once(self) -> AbstractContextManager[None]:
        """Give a context in which no other process creates the tables."""

    @abstractmethod
    def wait_for_turn(self, connection: Connection) -> None:
        """Have one process write at a time, from here to its commit.

        So numbers grow in the order of commits, and what a writer has read stays true.
        """

    @abstractmethod
    def insert(self, connection: Connection, rows: Sequence[Prediction]) -> None:
        """Add rows, except those whose id is there already."""

    @abstractmethod
    def held(self, connection: Connection) -> tuple[int, int]:
        """Return about how many predictions are kept, and the bytes that they take."""

    def shrink(self, connection: Connection) -> None:  # noqa: B027
        """Give a part of the space of deleted rows back to the disk."""


class Sqlite(Database):
    """A file, in write-ahead mode: readers and the one writer do not wait for each other.

    ``synchronous=FULL``: what is committed survives a power cut too. It costs one wait for the disk
    a batch, in a thread that nobody waits for; the alternative spares only that.
    """

    def __init__(self, url: URL) -> None:
        if url.database in (None, "", ":memory:"):
            raise TrafficError(
                f"traffic.url: {url} names no file; write sqlite:/// and an absolute path"
            )
        self.file = Path(str(url.database)).expanduser().absolute()
        where = url.set(database=str(self.file))
        self.engine = create_engine(where, connect_args={"timeout": LOCKED_SECONDS})
        event.listen(self.engine, "connect", self._set_up)
        self._one = _insert(1, "?")
        self._many = _insert(CHUNK, "?")

    @staticmethod
    def _set_up(connection: Any, _: object) -> None:
        for pragma in (
            f"page_size={PAGE}",  # this and the next count only before there are tables
            "auto_vacuum=INCREMENTAL",
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            f"wal_autocheckpoint={WAL_PAGES}",
            f"journal_size_limit={2 * WAL_PAGES * PAGE}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    def exists(self) -> bool:
        """See :class:`Database`."""
        return self.file.is_file()

    @contextmanager
    def created_once(self) -> Iterator[None]:
        """See :class:`Database`."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{self.file}.lock", timeout=3 * LOCKED_SECONDS):
            yield

    def wait_for_turn(self, connection: Connection) -> None:
        """See :class:`Database`."""
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    def insert(self, connection: Connection, rows: Sequence[Prediction]) -> None:
        """See :class:`Database`."""
        # One step of SQLite for many rows: around each step the interpreter's lock is given up and
        # fought for again, which beside a busy event loop costs more than the row itself.
        cursor = connection.connection.cursor()
        whole = len(rows) - len(rows) % CHUNK
        for start in range(0, whole, CHUNK):
            chunk = rows[start : start + CHUNK]
            cursor.execute(self._many, tuple(chain.from_iterable(chunk)))
        cursor.executemany(self._one, rows[whole:])

    def held(self, connection: Connection) -> tuple[int, int]:
        """See :class:`Database`."""

        def pragma(name: str) -> int:
            return int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())

        used = (pragma("page_count") - pragma("freelist_count")) * pragma("page_size")
        return _count(connection), used

    def shrink(self, connection: Connection) -> None:
        """See :class:`Database`."""
        free = connection.exec_driver_sql("PRAGMA freelist_count").scalar_one()
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        if 8 * free > pages:  # less is soon used again
            # A script runs to its end; a statement would stop after the first page.
            connection.connection.cursor().executescript(
                f"PRAGMA incremental_vacuum({WAL_PAGES}); PRAGMA wal_checkpoint(PASSIVE)"
            )


class Postgres(Database):
    """A server. Its own housekeeping (autovacuum) gives the space of deleted rows back."""

    #: PostgreSQL's names of the types of the columns that a prediction fills
    TYPES = ("text", "float8", "text", "bytea", "bytea", "int2", "float8", "bool") + 3 * ("text",)

    def __init__(self, url: URL) -> None:
        limits = f"-c statement_timeout=30s -c lock_timeout={int(LOCKED_SECONDS)}s"
        arguments = {
            "connect_timeout": ANSWER_SECONDS,
            "tcp_user_timeout": 2000 * ANSWER_SECONDS,  # milliseconds
            "options": limits,
        }
        self.engine = create_engine(
            url.set(drivername="postgresql+psycopg"), connect_args=arguments, pool_pre_ping=True
        )

    @contextmanager
    def created_once(self) -> Iterator[None]:
        """See :class:`Database`."""
        with self.engine.begin() as connection:
            self.wait_for_turn(connection)
            yield

    def wait_for_turn(self, connection: Connection) -> None:
        """See :class:`Database`."""
        connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))

    def insert(self, connection: Connection, rows: Sequence[Prediction]) -> None:
        """See :class:`Database`."""
        cursor = connection.connection.cursor()
        cursor.execute("SAVEPOINT fresh")
        try:
            with cursor.copy(f"COPY predictions ({_COLUMNS}) FROM STDIN (FORMAT BINARY)") as copy:
                copy.set_types(self.TYPES)
                for row in rows:
                    copy.write_row(row)
        except self.engine.dialect.loaded_dbapi.IntegrityError:
            cursor.execute("ROLLBACK TO fresh")
            cursor.executemany(_insert(1, "%s"), rows)

    def held(self, connection: Connection) -> tuple[int, int]:
        """See :class:`Database`."""
        # Deleted rows keep their place in the files, so these say nothing: a sample of rows does,
        # with what each takes beside its columns, in the table and in the indexes.
        sample = "SELECT * FROM predictions ORDER BY number DESC LIMIT 1000"
        mean = connection.execute(text(f"SELECT avg(pg_column_size(p.*)) FROM ({sample}) p"))
        count = _count(connection)
        return count, int(count * (float(mean.scalar_one() or 0) + 130))


def _count(connection: Connection) -> int:
    """Return about how many predictions there are: only the oldest leave gaps among the numbers."""
    ends = [f"(SELECT {end}(number) FROM predictions)" for end in ("min", "max")]
    first, last = connection.execute(text(f"SELECT {', '.join(ends)}")).one()
    return 0 if first is None else last - first + 1


def _insert(rows: int, mark: str) -> str:
    row = f"({', '.join([mark] * len(Prediction._fields))})"
    values = ", ".join([row] * rows)
    return (
        f"INSERT INTO {predictions.name} ({_COLUMNS}) VALUES {values} ON CONFLICT (id) DO NOTHING"
    )
