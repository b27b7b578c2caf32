"""`task=lineage`: where a model, a run or data comes from, and what came of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

from mlflow import MlflowClient

from digits.contract.files import write_atomically
from digits.contract.traffic import TrafficStore
from digits.data.versions import Versions
from digits.promotion import champion
from digits.registry import lineage_walk
from digits.registry.lineage import VERSION, Lineage, Node
from digits.registry.versions import RegisteredName
from digits.tasks import commands
from digits.tasks.screens import lineage as lineage_tree
from digits.tracking.record import Record
from digits.tracking.store import Tracking

LINEAGE_FILE = "lineage.json"
PLACES = ("paths.", "tracking")  # all that is typed beside reproduce=
KINDS = {champion.PROMOTE: "promotion", champion.ROLLBACK: "rollback"}


def lineage(
    record: Record,
    *,
    of: str | int,
    tracking: Tracking,
    versions: Versions,
    registered_name: RegisteredName = "digits",
    traffic_url: str | None = None,
    as_json: bool = False,
) -> None:
    """Show the whole chain that something belongs to; only tracking and traffic store are read.

    Args:
        record: the job's folder and configuration.
        of: alias or number of a model version, run id, run folder, digest of data, or id of a
            prediction.
        tracking: where runs and models are recorded.
        versions: where data is kept.
        registered_name: the registered model.
        traffic_url: where served predictions are kept; nothing needs to be there.
        as_json: print the JSON instead of the tree.

    Raises:
        RegistryError: the store knows nothing of this name.
        TrackingError: the store does not answer.
        TrafficError: the traffic store does not answer.
    """
    with served(traffic_url) as traffic:
        found = lineage_walk.lineage(
            tracking, versions, str(of), name=registered_name, traffic=traffic
        )
    add_moves(found, tracking.client())
    text = json.dumps(found.to_dict(), indent=2, ensure_ascii=False) + "\n"
    file = record.folder / LINEAGE_FILE
    write_atomically(file, text)
    if as_json:
        sys.stdout.write(text)
    else:
        typed = commands.same(record, commands.FIRST_DATA)
        lineage_tree.show(found, file, [each for each in typed if each.startswith(PLACES)])


@contextmanager
def served(url: str | None) -> Iterator[TrafficStore | None]:
    """Open the traffic store; None where there is none, and none is made."""
    store = TrafficStore(url) if url is not None else None
    try:
        yield store if store is not None and store.exists() else None
    finally:
        if store is not None:
            store.close()


def add_moves(found: Lineage, client: MlflowClient) -> None:
    """Add what made each version the champion, or took it back, below the version concerned."""
    names = {node.facts["name"] for node in found.nodes.values() if node.kind == VERSION}
    for name in sorted(names):
        for number, move in enumerate(champion.moves(client, name), start=1):
            node = Node(KINDS[move.action], f"{name}/move/{number}", {"name": name, **asdict(move)})
            for version in dict.fromkeys((move.after.champion, move.before.champion)):
                if f"{name}/{version}" in found:
                    found.add(node, after=f"{name}/{version}")
