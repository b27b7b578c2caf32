"""Reading the label store."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Connection, select

from digits.contract.label import Confirmed, Event, Labeller, Progress, Verdict
from digits.contract.labelling_board import Board, Item
from digits.contract.labelling_tables import LABELLING, events, queue
from digits.contract.traffic_access import Access

CHUNK = 1000  # rows that are read at a time
SOME = 500  # names in one statement


class Reading(Access):
    """What is in the store. Every method raises TrafficError when it cannot be read."""

    family = LABELLING

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._turn = threading.RLock()
        self._board = Board()  # of what is committed, as far as it is read

    def samples(self) -> set[str]:
        """Return every sample that was ever queued."""
        with self._reading():
            return set(self._board.items)

    def number(self, sample: str) -> int:
        """Return the number of a queued sample, which says nothing else of it.

        Raises:
            LookupError: no such sample is queued.
        """
        with self._reading():
            return self._board.items[sample].number

    def numbered(self, number: int) -> str:
        """Return the sample of :meth:`number`.

        Raises:
            LookupError: there is none.
        """
        with self._reading():
            return self._board.numbered[number].sample

    def progress(self) -> Progress:
        """Return how far the queue is labelled."""
        with self._reading():
            return self._board.progress()

    def labellers(self) -> list[Labeller]:
        """Return everybody who has ever answered, by name."""
        with self._reading():
            return self._board.labellers()

    def answered(self, labeller: str) -> int:
        """Return how many labels and skips of this labeller stand, those of controls too."""
        with self._reading():
            return len(self._board.answers(labeller))

    def events(self, after: int = 0, *, chunk: int = CHUNK) -> Iterator[list[Event]]:
        """Give what labellers did in the order in which it was committed, some at a time.

        Args:
            after: number of the last one known.
            chunk: most of one list.
        """
        while True:
            with self._transaction() as connection:
                found = _events(connection, after, chunk)
            if not found:
                return
            yield found
            after = found[-1].number

    def confirmed(self, until: float | None = None) -> list[Confirmed]:
        """Return the samples for which a label counts, in the order in which they were queued.

        Args:
            until: as it was then, in seconds since 1970 (UTC): only what was done earlier; None:
                as it is now.
        """
        board = Board()
        with self._transaction() as connection:
            _follow(connection, board, until)
            return _confirmed(connection, board.items.values())

    def find(self, sample: str) -> Confirmed | None:
        """Return the label that counts for this sample; None where none does."""
        with self._reading() as connection:
            item = self._board.items.get(sample)
            return next(iter(_confirmed(connection, [item] if item else [])), None)

    def verdicts(self) -> list[Verdict]:
        """Return every change of a label that counts, in the order of commits; no controls."""
        board, changes = Board(), []
        with self._transaction() as connection:

            def judged(event: Event) -> None:
                item = board.items[event.sample]
                before = item.verdict
                board.apply(event)
                if item.control is None and item.verdict != before:
                    who = event.labeller if item.verdict is None else item.first.labeller
                    changes.append((event, item.verdict, who))

            _follow(connection, board, judge=judged)
            images = _images(connection, [event.sample for event, *_ in changes])
        return [
            Verdict(event.number, event.sample, *images[event.sample], event.time, label, who)
            for event, label, who in changes
        ]

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """Give a connection that alone writes; the board knows all that is committed."""
        # What the transaction adds the board reads in the next one: it may yet be rolled back.
        with self._turn, self._transaction(writes=True) as connection:
            _follow(connection, self._board)
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._turn, self._transaction() as connection:
            _follow(connection, self._board)
            yield connection


def _events(connection: Connection, after: int, most: int) -> list[Event]:
    columns = [events.c[name] for name in Event._fields]
    query = select(*columns).where(events.c.number > after).order_by(events.c.number).limit(most)
    return [Event(**row._mapping) for row in connection.execute(query)]


def _follow(
    connection: Connection,
    board: Board,
    until: float | None = None,
    judge: Callable[[Event], None] | None = None,
) -> None:
    """Have the board take what is new; of the events those before ``until``, through ``judge``."""
    happened: list[Event] = []
    while found := _events(connection, happened[-1].number if happened else board.last, CHUNK):
        happened += found
    columns = (queue.c.number, queue.c.place, queue.c.sample, queue.c.control)
    # After the events, so that the sample of each is there.
    fresh = select(*columns).where(queue.c.number > board.last_item).order_by(queue.c.number)
    items = [Item(*row) for row in connection.execute(fresh)]
    if items:
        board.add(items)
    for event in happened:
        if until is None or event.time < until:
            (judge or board.apply)(event)


def _confirmed(connection: Connection, items: Collection[Item]) -> list[Confirmed]:
    found = []
    for item in items:
        if item.control is None and item.verdict is not None and item.since is not None:
            found.append((item, item.verdict, item.since))
    images = _images(connection, [item.sample for item, *_ in found])
    return [
        Confirmed(
            item.sample,
            images[item.sample][0],
            label,
            since.time,
            item.first.labeller,
            since.number,
        )
        for item, label, since in found
    ]


def _images(connection: Connection, samples: Sequence[str]) -> dict[str, tuple[bytes, float]]:
    """Return the pixels of queued samples, and when they were seen."""
    images: dict[str, tuple[bytes, float]] = {}
    for start in range(0, len(samples), SOME):
        names = set(samples[start : start + SOME])
        query = select(queue.c.sample, queue.c.pixels, queue.c.time)
        for row in connection.execute(query.where(queue.c.sample.in_(names))):
            images[row.sample] = (row.pixels, row.time)
    return images
