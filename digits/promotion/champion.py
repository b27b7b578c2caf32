"""The aliases champion and previous, and the only code that moves them.

A move is journaled (see :mod:`digits.promotion.turn`): written down as a whole, then made, the
champion last, so that every moment has a valid pair. Killed anywhere, it is finished by the next
process that has a turn; before it was written down nothing has been moved. Where a version that it
leads to is gone, it is undone instead.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from digits.errors import RegistryError
from digits.promotion.tickets import DONE, UNDONE, Ticket, tickets
from digits.promotion.turn import LostTurnError, Turn, turn
from digits.registry.versions import Version
from digits.tracking.faults import explained

log = logging.getLogger(__name__)

CHAMPION = "champion"
PREVIOUS = "previous"
PROMOTE = "promote"
ROLLBACK = "rollback"


@dataclass(frozen=True)
class Pair:
    """Numbers of the versions that have the two aliases; None: nobody has it."""

    champion: int | None
    previous: int | None


@dataclass(frozen=True)
class Move:
    """One move of the aliases, as the journal has it."""

    action: str
    before: Pair
    after: Pair

    def to_json(self) -> str:
        """Write it as one tag."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Move:
        """Read what ``to_json`` has written."""
        facts = json.loads(text)
        return cls(facts["action"], Pair(**facts["before"]), Pair(**facts["after"]))


def pair(client: MlflowClient, name: str) -> Pair:
    """Return who is champion and who was before.

    Raises:
        RegistryError: no such model is registered.
        TrackingError: the registry does not answer.
    """
    with explained(client.tracking_uri):
        return _pair(client, name)


def promote(client: MlflowClient, version: Version, *, over: int | None) -> Pair | None:
    """Make ``version`` the champion, and the champion the previous one.

    Args:
        client: of the registry.
        version: the gate has let it pass.
        over: the champion that it was compared with; None: there was none.

    Returns:
        The new pair; the present one where ``version`` is champion already; None where nothing
        was moved because ``over`` is champion no longer.

    Raises:
        RegistryError: another promotion does not come to an end, or has taken this one for dead.
        TrackingError: the registry does not answer.
    """

    def plan(now: Pair) -> Pair | None:
        if now.champion == version.number:
            return now
        if now.champion != over:
            return None
        return Pair(version.number, over or now.previous)

    return _move(client, version.name, PROMOTE, plan)


def rollback(client: MlflowClient, name: str) -> Pair:
    """Let champion and previous change places, and return the new pair.

    Raises:
        RegistryError: there is no previous version; or see :func:`promote`.
        TrackingError: the registry does not answer.
    """

    def plan(now: Pair) -> Pair:
        if now.previous is None or now.previous == now.champion:
            raise RegistryError(
                f"{name} has no {PREVIOUS} version to go back to: "
                + (
                    f"version {now.champion} is the only champion so far"
                    if now.champion
                    else "none was promoted yet (task=promote)"
                )
            )
        return Pair(now.previous, now.champion)

    pair(client, name)  # an unknown name draws no ticket
    moved = _move(client, name, ROLLBACK, plan)
    assert moved is not None
    return moved


def settle(client: MlflowClient, name: str) -> None:
    """Finish what a killed promotion has left, if there is such a one.

    Raises:
        RegistryError, TrackingError: see :func:`promote`.
    """
    with explained(client.tracking_uri):
        if tickets(client, name):
            with turn(client, name, finish=_finish):
                pass


def moves(client: MlflowClient, name: str) -> list[Move]:
    """Return every move that was made to its end, the oldest first.

    Raises:
        TrackingError: the registry does not answer.
    """
    with explained(client.tracking_uri):
        return _moves(client, name)


def _moves(client: MlflowClient, name: str) -> list[Move]:
    done = tickets(client, name, DONE)
    return [Move.from_json(ticket.plan) for ticket in done if ticket.plan]


def _move(
    client: MlflowClient, name: str, action: str, plan: Callable[[Pair], Pair | None]
) -> Pair | None:
    with explained(client.tracking_uri):
        try:
            with turn(client, name, finish=_finish) as mine:
                before = _pair(client, name)
                after = plan(before)
                if after is None or after == before:
                    return after
                mine.plan(Move(action, before, after).to_json())
                _apply(mine, after)
                return after
        except LostTurnError:
            _put_back(client, name)
            raise


def _pair(client: MlflowClient, name: str) -> Pair:
    try:
        aliases = client.get_registered_model(name).aliases
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        raise RegistryError(
            f"registry.name: no model {name} is registered at {client.tracking_uri}; train one "
            f"first (task=train)"
        ) from error
    numbers = {alias: int(number) for alias, number in aliases.items()}
    return Pair(numbers.get(CHAMPION), numbers.get(PREVIOUS))


def _finish(mine: Turn, left: Ticket) -> str:
    """Finish the move of a ticket, or undo it where its versions are gone."""
    move = Move.from_json(left.plan or "")
    state = DONE if _exist(mine.client, mine.name, move.after) else UNDONE
    target = move.after if state == DONE else move.before
    if state == UNDONE and not _exist(mine.client, mine.name, target):
        return UNDONE  # the registry has taken the aliases of deleted versions away
    _apply(mine, target)
    log.warning("Its %s of version %s is %s.", move.action, move.after.champion, state)
    return state


def _apply(mine: Turn, wanted: Pair) -> None:
    """Write what differs, the champion last; each write under a turn that was just checked."""
    now = _pair(mine.client, mine.name)
    for alias, number, present in (
        (PREVIOUS, wanted.previous, now.previous),
        (CHAMPION, wanted.champion, now.champion),
    ):
        if number == present:
            continue
        mine.check()
        if number is None:
            mine.client.delete_registered_model_alias(mine.name, alias)
        else:
            mine.client.set_registered_model_alias(mine.name, alias, str(number))
    mine.check()


def _put_back(client: MlflowClient, name: str) -> None:
    """Make the aliases what the journal says, after a write that may have come too late."""
    with turn(client, name, finish=_finish) as mine:
        made = _moves(client, name)
        if made and _exist(client, name, made[-1].after):
            _apply(mine, made[-1].after)


def _exist(client: MlflowClient, name: str, wanted: Pair) -> bool:
    for number in (wanted.champion, wanted.previous):
        try:
            if number is not None:
                client.get_model_version(name, str(number))
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return False
    return True
