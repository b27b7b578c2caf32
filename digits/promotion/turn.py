"""Whose turn it is to move the aliases of a model: one process at a time, on any host.

Nothing but MLflow's registry is used, so it works wherever the models are. Whoever wants to move
draws a ticket: a version of the registered model ``<name>-promotions``. The store numbers versions
without gaps or doubles, and a number is visible before the next one is given, so the lowest open
ticket has its turn and everyone agrees which that is. The tickets stay as the journal.

A ticket is open until anyone writes its ``state``; that is written once and never opened again.
Before its owner writes an alias it writes down the whole move as one tag (``plan``), so that of a
killed owner it is known what remains to be done. The next in line, and nobody else, finishes the
tickets below its own whose owners are gone:

- on the same host (the same boot and the same container) an owner is gone when its process is;
- on another host when its ``beat`` has not changed for ``LEASE_SECONDS``, by the watch of whoever
  waits: no two clocks are compared.

Its one weakness: an owner on another host that was held up for longer than that, exactly between
asking whether its ticket is still open and the write of one alias, writes that alias late. It finds
its ticket closed right after, and puts the aliases back to what the journal says.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mlflow import MlflowClient

from digits.errors import RegistryError
from digits.promotion.owner import myself
from digits.promotion.tickets import DONE, LEFT, OPEN, Ticket, close, draw, journal, ticket, tickets

log = logging.getLogger(__name__)

LEASE_SECONDS = 60.0
BEAT_SECONDS = 10.0
POLL_SECONDS = 0.2
PATIENCE_SECONDS = 300.0  # for a live process that does not come to an end

_at_work: set[str] = set()  # tokens of this process that are in use


class LostTurnError(RegistryError):
    """Another process has taken this one for dead, and its turn."""


class Turn:
    """The right to move the aliases, for as long as the ticket is open."""

    def __init__(self, client: MlflowClient, name: str, number: int) -> None:
        self.client = client
        self.name = name
        self.number = number
        self.planned = False
        self._beats = 0

    def check(self) -> None:
        """Show a sign of life, and make sure that nobody has taken this turn.

        Raises:
            LostTurnError: somebody has.
        """
        self._beats += 1
        self._tag(self.number, "beat", str(self._beats))
        if ticket(self.client, self.name, self.number).state != OPEN:
            raise LostTurnError(
                f"{self.name}: promotion {self.number} was taken for dead by another process and "
                f"ended there. Look at the aliases, and start again"
            )

    def plan(self, text: str) -> None:
        """Write down what is about to be done; from here on others can finish it."""
        self.check()
        self._tag(self.number, "plan", text)
        self.planned = True

    def close(self, number: int, state: str) -> None:
        """End a ticket: this one, or one below it that was left."""
        close(self.client, self.name, number, state)

    def _tag(self, number: int, key: str, value: str) -> None:
        self.client.set_model_version_tag(journal(self.name), str(number), key, value)


#: finishes what a ticket had begun, and returns the state that it ends in
Finish = Callable[[Turn, Ticket], str]


@contextmanager
def turn(
    client: MlflowClient,
    name: str,
    *,
    finish: Finish,
    lease: float = LEASE_SECONDS,
    patience: float = PATIENCE_SECONDS,
) -> Iterator[Turn]:
    """Wait for the turn, finish what dead owners have left, and hold the turn inside.

    Args:
        client: of the registry.
        name: the registered model whose aliases are to be moved.
        finish: what to do with a ticket that has a plan.
        lease: seconds after which a silent owner on another host is taken for dead.
        patience: seconds to wait for live owners.

    Raises:
        RegistryError: a live process does not come to an end.
        LostTurnError: this process was taken for dead.
    """
    token = uuid.uuid4().hex
    _at_work.add(token)
    try:
        mine = Turn(client, name, draw(client, name, token))
        try:
            _wait(mine, finish, lease=lease, patience=patience)
            yield mine
        except LostTurnError:
            raise
        except BaseException:
            _leave(mine, finish)
            raise
        mine.close(mine.number, DONE if mine.planned else LEFT)
    finally:
        _at_work.discard(token)


def _wait(mine: Turn, finish: Finish, *, lease: float, patience: float) -> None:
    """Return once no open ticket is below mine."""
    watch: dict[int, tuple[str, float]] = {}  # ticket -> its beat, and when that was new
    begun = told = beaten = time.monotonic()
    while True:
        below = [each for each in tickets(mine.client, mine.name) if each.number < mine.number]
        now = time.monotonic()
        alive = [each for each in below if not _is_gone(each, watch, now, lease)]
        if not alive:
            for number in (each.number for each in below):
                mine.check()
                # Read again: its owner may have gone on since, to its plan or to its end.
                left = ticket(mine.client, mine.name, number)
                if left.state == OPEN:
                    log.warning("Promotion %d was left by %s.", number, left.owner)
                    mine.close(number, finish(mine, left) if left.plan else LEFT)
            mine.check()
            return
        if now - begun > patience:
            raise RegistryError(
                f"{mine.name}: promotion {alive[0].number} by {alive[0].owner} has not ended for "
                f"{patience:.0f} s. See what it is doing, or end it, and start again"
            )
        if now - told > BEAT_SECONDS or told == begun:
            log.info("Waiting for promotion %d by %s.", alive[0].number, alive[0].owner)
            told = now
        if now - beaten > min(BEAT_SECONDS, lease / 4):
            mine.check()
            beaten = now
        time.sleep(POLL_SECONDS)


def _is_gone(ticket: Ticket, watch: dict[int, tuple[str, float]], now: float, lease: float) -> bool:
    abandoned = _is_abandoned(ticket)
    if abandoned is not None:
        return abandoned
    if watch.get(ticket.number, ("", 0.0))[0] != ticket.beat:
        watch[ticket.number] = ticket.beat, now
    return now - watch[ticket.number][1] > lease


def _leave(mine: Turn, finish: Finish) -> None:
    """End the own ticket after an error, as the next in line would; if that fails, it will."""
    try:
        left = ticket(mine.client, mine.name, mine.number)
        mine.check()
        mine.close(mine.number, finish(mine, left) if left.plan else LEFT)
    except Exception as error:
        log.warning("Promotion %d is left for the next start: %s", mine.number, error)


def _is_abandoned(other: Ticket) -> bool | None:
    """Tell whether its owner is gone; None where only waiting can tell."""
    if other.owner == myself():
        return other.token not in _at_work
    return other.owner.is_dead()
