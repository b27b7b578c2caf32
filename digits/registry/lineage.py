"""A lineage: what led to what, from pixels to decisions, as a graph of plain facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

RAW, PREPROCESSED, AUGMENTED = "raw data", "preprocessed data", "augmented data"
DATA = "data"  # of which only a digest is on record
SWEEP = "sweep"
TRAINING = "training run"
VERSION = "model version"
DEPLOYMENT, PREDICTION, CORRECTION = "deployment", "prediction", "correction"
RUN = "run"  # of a task that has no kind of its own
#: what a task's run is called that is about a model
KINDS = {"evaluate": "evaluation", "explain": "explanation", "promote": "decision"}
#: task -> what is said of a version that it was not done with
STUDIES = {
    "evaluate": "no evaluation on record (task=evaluate)",
    "promote": "no decision of the gate on record (task=promote)",
}


@dataclass(frozen=True)
class Node:
    """One thing that a lineage goes through.

    Attributes:
        kind: one of the names above.
        id: data digest (sha256, hex), run id, ``<model>/<number>``, or id of a prediction; of a
            deployment with one model version ``<deployment>@<model>/<number>``.
        facts: what is on record of it, ready for JSON.
        lacks: what is not, each in words.
    """

    kind: str
    id: str
    facts: Mapping[str, Any]
    lacks: tuple[str, ...] = ()


@dataclass
class Lineage:
    """Nodes, and which of them each one led to.

    Attributes:
        subject: id of the node that was asked for.
        nodes: id -> node, in the order in which they were found.
    """

    subject: str
    nodes: dict[str, Node] = field(default_factory=dict)
    _after: dict[str, list[str]] = field(default_factory=dict)

    def __contains__(self, node: str) -> bool:
        return node in self.nodes

    def add(self, node: Node, *, after: str | None = None) -> None:
        """Add a node once; say, where it is known, what it came from."""
        self.nodes.setdefault(node.id, node)
        if after is not None:
            self.link(after, node.id)

    def link(self, before: str, after: str) -> None:
        """Say that one led to the other, unless the one is known to by way of others."""
        if not self._leads(before, after):
            self._after.setdefault(before, []).append(after)

    def roots(self) -> list[Node]:
        """Return the nodes that nothing on record led to."""
        led = {node for after in self._after.values() for node in after}
        return [node for node in self.nodes.values() if node.id not in led]

    def after(self, node: str) -> list[Node]:
        """Return what a node led to, the first found first."""
        return [self.nodes[each] for each in self._after.get(node, [])]

    def to_dict(self) -> dict[str, Any]:
        """Return nodes and edges, ready for JSON."""
        return {
            "subject": self.subject,
            "nodes": [
                {
                    "id": node.id,
                    "kind": node.kind,
                    "facts": dict(node.facts),
                    "lacks": list(node.lacks),
                }
                for node in self.nodes.values()
            ],
            "edges": [
                {"from": before, "to": each}
                for before, after in self._after.items()
                for each in after
            ],
        }

    def _leads(self, before: str, after: str) -> bool:
        waiting, seen = [before], set[str]()
        while waiting:
            for each in self._after.get(waiting.pop(), []):
                if each == after:
                    return True
                if each not in seen:
                    seen.add(each)
                    waiting.append(each)
        return False
