"""The offline side: a folder of Parquet parts for each view, to which parts are only added.

A part appears whole or not at all. One of a name that is there replaces it: what is written again
after a kill is there once.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from digits.contract.files import write_atomically
from digits.errors import FeatureError
from digits.features.views import KNOWN, MOMENT, SAMPLE, VIEWS, WRITTEN, View

EMPTY = "empty"  # the part that every view has, so that it can always be read
LOCKED_SECONDS = 60.0  # how long another process may be writing
MOST = 64  # parts of a view before the small ones are put together
PUSHED = "pushed"  # how the names of parts begin that are of the push,
MERGED = "merged"  # and of those that were put together


class Parts:
    """The parts below a folder.

    Args:
        root: the folder; created with the first part.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, view: View) -> Path:
        """Return where the parts of a view are."""
        return self.root / view.name

    def create(self) -> None:
        """Make sure that every view can be read; the caller holds the lock.

        Raises:
            FeatureError: a view is there with other columns.
        """
        for view in VIEWS.values():
            for left_over in self.folder(view).glob(".*.parquet.*"):  # of a killed process
                left_over.unlink()
            file = self.folder(view) / f"{EMPTY}.parquet"
            if not file.exists():
                self.write(view, EMPTY, view.schema.empty_table())
                continue
            found = pq.read_schema(file)
            if not found.equals(view.schema):
                differs = set(found.names) ^ set(view.schema.names) or {"types"}
                raise FeatureError(
                    f"features.root: the view {view.name} in {self.root} was written by another "
                    f"version of Digits (it differs in {', '.join(sorted(differs))}): use the "
                    f"version that wrote it, or another folder: features.root=..."
                )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep others from writing.

        Raises:
            FeatureError: somebody does, for too long.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.root / ".lock", timeout=LOCKED_SECONDS):
                yield
        except Timeout:
            raise FeatureError(
                f"features.root: another process has been writing to {self.root} for "
                f"{LOCKED_SECONDS:.0f} s; try again when it is done"
            ) from None

    def write(self, view: View, name: str, table: pa.Table) -> None:
        """Write one part atomically."""
        self.folder(view).mkdir(parents=True, exist_ok=True)
        content = io.BytesIO()
        pq.write_table(table.cast(view.schema), content, compression="zstd")
        write_atomically(self.folder(view) / f"{name}.parquet", content.getvalue())

    def has(self, view: View, name: str) -> bool:
        """Tell whether there is a part of this name."""
        return (self.folder(view) / f"{name}.parquet").exists()

    def of_data(self, view: View) -> list[str]:
        """Return the names of the parts that data sets have brought in, sorted."""
        names = sorted(file.stem for file in self.folder(view).glob("*.parquet"))
        others = (f"{PUSHED}-", f"{MERGED}-", EMPTY)
        return [name for name in names if not name.startswith(others)]

    def read(self, view: View, columns: Sequence[str] | None = None) -> pa.Table:
        """Read all parts of a view, or some ``columns`` of them."""
        names = list(columns) if columns is not None else view.schema.names
        return pq.read_table(self.folder(view), columns=names, schema=view.schema)

    def tidy(self) -> None:
        """Put the small parts of a view together, where there are many.

        Killed half-way, some rows are there twice, which changes nothing that is read.
        """
        for view in VIEWS.values():
            small = sorted(self.folder(view).glob(f"{PUSHED}-*.parquet"))
            if len(small) < MOST:
                continue
            merged = sorted(self.folder(view).glob(f"{MERGED}-*.parquet"))
            table = pa.concat_tables([pq.read_table(file, schema=view.schema) for file in small])
            self.write(view, f"{MERGED}-{len(merged):06d}", table)
            for file in small:
                file.unlink()


def newest(table: pa.Table) -> pa.Table:
    """Return the last row of each sample."""
    order = [(SAMPLE, "ascending"), (KNOWN, "ascending"), (WRITTEN, "ascending")]
    table = table.sort_by(order).combine_chunks()
    samples = table.column(SAMPLE).to_numpy(zero_copy_only=False)
    last = [*(samples[1:] != samples[:-1]), True] if len(samples) else []
    return table.filter(pa.array(last, pa.bool_()))


def table_of(
    view: View, samples: Sequence[str], columns: Mapping[str, Any], known: datetime | Sequence[Any]
) -> pa.Table:
    """Make a table of a view from its columns; ``known`` is one time for all, or one for each."""
    times = [known] * len(samples) if isinstance(known, datetime) else known
    moments = pa.array(times, MOMENT)
    arrays = [pa.array(samples, pa.string())]
    arrays += [pa.array(columns[name], kind) for name, (kind, _) in view.columns.items()]
    return pa.Table.from_arrays([*arrays, moments, moments], schema=view.schema)


def moment(seconds: float) -> datetime:
    """Return a time in seconds since 1970 as one of the store."""
    return datetime.fromtimestamp(seconds, UTC)
