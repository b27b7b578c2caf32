"""Reading the traffic store."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import ColumnElement, LargeBinary, Row, Select, func, null, select

from digits.contract.prediction import Correction, Deployment, Prediction, Served, Stored
from digits.contract.traffic_access import Access
from digits.contract.traffic_tables import TRAFFIC, corrections, deployments, predictions

CHUNK = 1000  # rows that are read at a time


class Reading(Access):
    """What is in the store. Every method raises TrafficError when it cannot be read."""

    family = TRAFFIC

    def find(self, prediction: str) -> Stored | None:
        """Return the prediction with this id."""
        with self._transaction() as connection:
            found = connection.execute(_stored().where(predictions.c.id == prediction)).first()
        return None if found is None else _row(found)

    def recent(self, count: int, *, name: str | None = None, pixels: bool = True) -> list[Stored]:
        """Return the last predictions, the oldest of them first; without pixels they are None.

        Args:
            count: most of them.
            name: of the registered model that answered; None: any.
            pixels: whether they are read.
        """
        wanted = [] if name is None else [_answered_by(name)]
        query = _stored(pixels).where(*wanted).order_by(predictions.c.number.desc()).limit(count)
        with self._transaction() as connection:
            return [_row(each) for each in reversed(connection.execute(query).all())]

    def read(
        self,
        *,
        after: int = 0,
        since: float | None = None,
        until: float | None = None,
        version: str | None = None,
        name: str | None = None,
        pixels: bool = True,
        chunk: int = CHUNK,
    ) -> Iterator[list[Stored]]:
        """Give the predictions in the order in which they were written, some at a time.

        Between two lists no transaction is open: take the time you need.

        Args:
            after: number of the last one known.
            since: no earlier ones, in seconds since 1970 (UTC).
            until: only earlier ones.
            version: of the model that answered; None: any.
            name: of the registered model whose versions answered; None: any.
            pixels: whether they are read; without, they are None.
            chunk: most of one list.
        """
        wanted = []
        if since is not None:
            wanted.append(predictions.c.time >= since)
        if until is not None:
            wanted.append(predictions.c.time < until)
        if wanted:  # where these are, by the index on time; then straight through
            ends = select(func.min(predictions.c.number), func.max(predictions.c.number))
            with self._transaction() as connection:
                first, last = connection.execute(ends.where(*wanted)).one()
            if first is None:
                return
            after = max(after, first - 1)
            wanted.append(predictions.c.number <= last)
        if version is not None:
            wanted.append(predictions.c.version == version)
        if name is not None:
            wanted.append(_answered_by(name))
        query = _stored(pixels).where(*wanted).order_by(predictions.c.number).limit(chunk)
        while True:
            with self._transaction() as connection:
                found = connection.execute(query.where(predictions.c.number > after)).all()
            if not found:
                return
            yield [_row(each) for each in found]
            after = found[-1].number

    def corrections(
        self, *, of: str | None = None, after: int = 0, chunk: int = CHUNK
    ) -> Iterator[list[Correction]]:
        """Give all corrections that were made, the oldest first, some at a time.

        Args:
            of: id of the prediction; None: of any.
            after: number of the last one known.
            chunk: most of one list.
        """
        query = select(corrections).order_by(corrections.c.number).limit(chunk)
        if of is not None:
            query = query.where(corrections.c.prediction == of)
        while True:
            with self._transaction() as connection:
                found = connection.execute(query.where(corrections.c.number > after)).all()
            if not found:
                return
            yield [Correction(**each._mapping) for each in found]
            after = found[-1].number

    def served(self, version: str | None = None) -> list[Served]:
        """Return what each deployment has answered with each version, or with this one."""
        by = [predictions.c.deployment, predictions.c.version]
        moment = predictions.c.time
        query = select(*by, func.count(), func.min(moment), func.max(moment)).group_by(*by)
        if version is not None:
            query = query.where(predictions.c.version == version)
        with self._transaction() as connection:
            found = connection.execute(query.order_by(func.min(moment))).all()
        return [Served(*values) for values in map(tuple[Any, ...], found)]

    def deployment(self, identifier: str) -> Deployment | None:
        """Return the deployment with this id."""
        query = select(deployments).where(deployments.c.id == identifier)
        with self._transaction() as connection:
            found = connection.execute(query).first()
        return None if found is None else Deployment(**found._mapping)


def _answered_by(name: str) -> ColumnElement[bool]:
    """Choose what any version of a registered model has answered: ``<name>/<number>``."""
    return predictions.c.version.startswith(f"{name}/", autoescape=True)


def _stored(pixels: bool = True) -> Select[Any]:
    """Select what a :class:`Stored` is made of."""
    columns: list[ColumnElement[Any]] = [predictions.c[name] for name in Prediction._fields]
    if not pixels:
        columns[Prediction._fields.index("pixels")] = null().cast(LargeBinary).label("pixels")
    newest = select(corrections.c.label).where(corrections.c.prediction == predictions.c.id)
    newest = newest.order_by(corrections.c.number.desc()).limit(1)
    return select(predictions.c.number, *columns, newest.scalar_subquery().label("suggestion"))


def _row(found: Row[Any]) -> Stored:
    number, *values, suggestion = tuple[Any, ...](found)
    return Stored(number, Prediction(*values), suggestion)
