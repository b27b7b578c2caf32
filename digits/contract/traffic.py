"""The traffic store: every prediction that was served and every correction, in a database.

SQLite or PostgreSQL, by the address. Several processes may write and read at once; any thread may
call. Drift and labelling read what the service writes.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from sqlalchemy import ColumnElement, delete, func, insert, literal, select, text

from digits.contract.prediction import Deployment, Prediction
from digits.contract.traffic_reading import Reading
from digits.contract.traffic_tables import corrections, predictions

DAY = 86_400.0  # seconds
COUNTED = {"preserve_rowcount": True}
MOST = 2000  # rows that are deleted at a time


class TrafficStore(Reading):
    """Predictions, corrections and deployments at an address.

    Every method raises TrafficError when the store cannot be reached or written, is locked for too
    long, full, or of another schema.
    """

    def write(self, rows: Sequence[Prediction]) -> None:
        """Add predictions, all or none; when it returns, they outlive a kill and a power cut.

        A row whose id is there already is left as it is: after an error it is safe to try again.

        Raises:
            ValueError: the database refuses a value of a row.
        """
        driver = self._driver
        refusals = (driver.DataError, driver.IntegrityError, driver.ProgrammingError)
        with self._transaction(writes=True) as connection:
            try:
                self._database.insert(connection, rows)
            except (*refusals, UnicodeError, OverflowError, TypeError) as error:
                reason = str(error).partition("\n")[0]  # below it PostgreSQL shows the row
                raise ValueError(f"the traffic store refuses a prediction: {reason}") from None

    def deploy(self, deployment: Deployment) -> None:
        """Note a deployment, unless it is noted already."""
        names = Deployment._fields
        row = text(
            f"INSERT INTO deployments ({', '.join(names)}) VALUES (:{', :'.join(names)}) "
            "ON CONFLICT (id) DO NOTHING"
        )
        with self._transaction(writes=True) as connection:
            connection.execute(row, deployment._asdict())

    def correct(self, prediction: str, label: int, *, origin: str) -> bool:
        """Keep what a prediction should have been; when it returns, it is committed.

        Earlier corrections of the same prediction are kept too; the newest one counts.

        Args:
            prediction: its id.
            label: 0..9.
            origin: who says so, for example ``page`` or ``api``.

        Returns:
            False where no prediction has this id.

        Raises:
            ValueError: the label is no digit.
        """
        if type(label) is not int or not 0 <= label <= 9:
            raise ValueError(f"label: {label!r} is no digit from 0 to 9")
        row = select(predictions.c.id, literal(time.time()), literal(label), literal(origin))
        row = row.where(predictions.c.id == prediction)
        columns = ["prediction", "time", "label", "origin"]
        kept = insert(corrections).from_select(columns, row)
        with self._transaction(writes=True) as connection:
            return connection.execute(kept, execution_options=COUNTED).rowcount == 1

    def prune(self, *, max_days: float | None, max_bytes: int | None, most: int = MOST) -> int:
        """Delete the oldest predictions, with their corrections, in one short step.

        Args:
            max_days: age from which they go; None keeps them.
            max_bytes: size of the whole store above which they go; None: any size. A SQLite file
                shrinks step by step; its write-ahead log (some 16 MB) comes on top. On PostgreSQL
                the size is an estimate from the rows.
            most: how many go in this step, at most.

        Returns:
            How many went; ``most`` where more are to go.
        """
        gone = 0
        if max_days is not None:
            gone = self._delete(predictions.c.time < time.time() - max_days * DAY, most)
        if max_bytes is not None and gone < most:
            with self._transaction() as connection:
                count, used = self._database.held(connection)
            if used > max_bytes:
                first = select(func.min(predictions.c.number)).scalar_subquery()
                excess = count - count * max_bytes // used
                gone += self._delete(predictions.c.number < first + excess, most - gone)
        with self._transaction(writes=True) as connection:
            self._database.shrink(connection)
        return gone

    def _delete(self, condition: ColumnElement[bool], most: int) -> int:
        oldest = select(predictions.c.number).where(condition)
        oldest = oldest.order_by(predictions.c.number).limit(most)
        with self._transaction(writes=True) as connection:
            return connection.execute(
                delete(predictions).where(predictions.c.number.in_(oldest))
            ).rowcount
