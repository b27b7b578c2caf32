"""Tickets: the line before the aliases of a model, and the journal of their moves."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from digits.promotion.owner import Owner, myself

ATTEMPTS = 5  # the store itself gives up after three others came first
SOURCE = "promotion:/ticket"  # a version must name some place, a server wants an absolute one

OPEN = "open"
DONE = "done"
UNDONE = "undone"
LEFT = "left"  # nothing was moved


@dataclass(frozen=True)
class Ticket:
    """A place in the line, as the store has it.

    Attributes:
        number: its place.
        token: what its owner knows it by.
        owner: who drew it.
        beat: changes while its owner is alive.
        state: open, done, undone or left.
        plan: the move, once its owner is about to begin; JSON.
    """

    number: int
    token: str
    owner: Owner
    beat: str
    state: str
    plan: str | None

    @classmethod
    def of(cls, entry: ModelVersion) -> Ticket:
        """Read a ticket."""
        tags = entry.tags
        return cls(
            number=int(entry.version),
            token=tags["token"],
            owner=Owner(**json.loads(tags["owner"])),
            beat=tags["beat"],
            state=tags["state"],
            plan=tags.get("plan"),
        )


def journal(name: str) -> str:
    """Return the registered model whose versions are the tickets of ``name``."""
    return f"{name}-promotions"


def tickets(client: MlflowClient, name: str, state: str = OPEN) -> list[Ticket]:
    """Return the tickets of a model in this state, the first drawn first."""
    query = f"name='{journal(name)}' and tags.state='{state}'"
    found: list[Ticket] = []
    token = None
    while True:
        page = client.search_model_versions(query, page_token=token)
        # The store reads the tags after the versions; one closed in between comes without any.
        found += [Ticket.of(entry) for entry in page if entry.tags]
        token = page.token
        if not token:
            return sorted(found, key=lambda ticket: ticket.number)


def ticket(client: MlflowClient, name: str, number: int) -> Ticket:
    """Return a ticket as it is now."""
    return Ticket.of(client.get_model_version(journal(name), str(number)))


def draw(client: MlflowClient, name: str, token: str) -> int:
    """Take the next place in the line of a model, and return its number.

    ``token`` is what the owner will know its ticket by.
    """
    _ensure_journal(client, name)
    tags = {"state": OPEN, "token": token, "owner": json.dumps(asdict(myself())), "beat": "0"}
    for attempt in range(ATTEMPTS):
        try:
            client.create_model_version(
                journal(name), source=SOURCE, tags=tags, await_creation_for=0
            )
            break
        except MlflowException as error:
            if attempt == ATTEMPTS - 1 or "Giving up after" not in str(error):
                raise
    # A request that was sent again, because its answer was lost, has drawn twice.
    first, *doubles = [each for each in tickets(client, name) if each.token == token]
    for double in doubles:
        close(client, name, double.number, LEFT)
    return first.number


def _ensure_journal(client: MlflowClient, name: str) -> None:
    try:
        client.create_registered_model(
            journal(name),
            description=f"The journal of promotions of {name}: who moved its aliases, when, "
            f"from where to where. It is also the lock; keep it.",
        )
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def close(client: MlflowClient, name: str, number: int, state: str) -> None:
    """End a ticket: done, undone or left."""
    client.set_model_version_tag(journal(name), str(number), "state", state)
