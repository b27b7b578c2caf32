"""The label store: which images wait for a label, and everything that labellers did about them.

It stands in the database of the traffic store. Several processes may write and read at once; any
thread may call. What a method has returned outlives a kill and a power cut.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from sqlalchemy import Connection, delete, insert, select

from digits.contract.label import LABELS, Queued, check_name, check_row
from digits.contract.labelling_reading import Reading
from digits.contract.labelling_tables import events, leases, queue

LEASE_SECONDS = 120.0  # for which a sample is kept for the one who has it before them


class LabelStore(Reading):
    """A queue of samples and what labellers did, at the address of a traffic store.

    Every method raises TrafficError when the database cannot be reached or written, is locked for
    too long, full, or of another schema.
    """

    def enqueue(self, rows: Sequence[Queued]) -> int:
        """Have samples labelled, the most useful one first; all are queued, or none.

        Labellers get the first samples of several calls before the second ones, and so on. A sample
        that is queued already, labelled or not, is left as it is.

        Returns:
            How many are new.

        Raises:
            ValueError: a row is not as :class:`Queued` says.
        """
        given = {row.sample: check_row(row)._asdict() for row in rows}
        with self._writing() as connection:
            known = self._board.items
            new = [
                {**row, "place": place}
                for place, row in enumerate(given.values())
                if row["sample"] not in known
            ]
            if new:
                connection.execute(insert(queue), new)
        return len(new)

    def next(self, labeller: str) -> Queued | None:
        """Return what this labeller should look at: the most useful sample that needs a label.

        It is kept for them for a while, and they get it until they answer. At times it is a
        control, or what another has labelled already.

        Raises:
            ValueError: this is no name of a labeller.
        """
        check_name(labeller)
        with self._writing() as connection:
            now = time.time()
            rows = connection.execute(select(leases).where(leases.c.until > now)).all()
            held = {row.labeller: row.sample for row in rows}
            own = held.pop(labeller, None)
            if own is None or self._board.items[own].is_done_by(labeller):
                chosen = self._board.choose(labeller, set(held.values()))
                own = chosen and chosen.sample
            return None if own is None else self._lend(connection, own, labeller)

    def label(self, sample: str, labeller: str, label: int) -> int:
        """Keep what a sample is, -1..9; -1: no digit at all.

        It takes the place of an earlier answer of the same labeller.

        Returns:
            Number of the event; that of the earlier one where it says the same.

        Raises:
            ValueError: this is no label, or no name of a labeller.
            LookupError: no such sample is queued.
        """
        if type(label) is not int or label not in LABELS:
            raise ValueError(f"label: {label!r} is none: 0 to 9, or -1 for what is no digit")
        return self._answer(sample, labeller, "label", label)

    def skip(self, sample: str, labeller: str) -> int:
        """Note that this labeller cannot tell; see :meth:`label`."""
        return self._answer(sample, labeller, "skip", None)

    def undo(self, labeller: str) -> Queued | None:
        """Take back the labeller's last answer, and return its sample, which they get again.

        Returns:
            None where there is nothing left to take back.

        Raises:
            ValueError: this is no name of a labeller.
        """
        check_name(labeller)
        with self._writing() as connection:
            answers = self._board.answers(labeller)
            if not answers:
                return None
            self._append(connection, answers[-1].sample, labeller, "undo", of=answers[-1].number)
            return self._lend(connection, answers[-1].sample, labeller)

    def withdraw(self, labeller: str, by: str) -> int:
        """Take back every label of a labeller; those of controls stand, as evidence.

        The samples go to others; what was said of them stays among the events.

        Args:
            labeller: whose labels.
            by: who does it.

        Returns:
            How many labels were taken back.

        Raises:
            ValueError: one of the two is no name of a labeller.
        """
        check_name(labeller)
        check_name(by)
        with self._writing() as connection:
            wrong = [
                answer
                for answer in self._board.answers(labeller)
                if answer.action == "label" and self._board.items[answer.sample].control is None
            ]
            for answer in wrong:
                self._append(connection, answer.sample, by, "withdraw", of=answer.number)
        return len(wrong)

    def _answer(self, sample: str, labeller: str, action: str, label: int | None) -> int:
        check_name(labeller)
        with self._writing() as connection:
            if sample not in self._board.items:
                raise LookupError(f"no sample {sample} waits for a label")
            earlier = self._board.standing(sample, labeller)
            if earlier is not None and (earlier.action, earlier.label) == (action, label):
                return earlier.number
            if earlier is not None:
                self._append(connection, sample, labeller, "undo", of=earlier.number)
            connection.execute(delete(leases).where(leases.c.labeller == labeller))
            return self._append(connection, sample, labeller, action, label=label)

    def _append(
        self, connection: Connection, sample: str, labeller: str, action: str, **more: int | None
    ) -> int:
        newest = select(events.c.time).order_by(events.c.number.desc()).limit(1)
        # Clocks of two machines differ; what is later in the log must not be earlier in time.
        moment = max(time.time(), connection.execute(newest).scalar() or 0.0)
        row = {"sample": sample, "time": moment, "labeller": labeller, "action": action, **more}
        kept = insert(events).values(**row).returning(events.c.number)
        return int(connection.execute(kept).scalar_one())

    def _lend(self, connection: Connection, sample: str, labeller: str) -> Queued:
        until = time.time() + LEASE_SECONDS
        connection.execute(delete(leases).where(leases.c.labeller == labeller))
        connection.execute(insert(leases).values(labeller=labeller, sample=sample, until=until))
        columns = [queue.c[name] for name in Queued._fields]
        found = connection.execute(select(*columns).where(queue.c.sample == sample)).one()
        return Queued(**found._mapping)
