"""The end of a lineage: deployments, predictions and corrections, from the traffic store."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from digits.contract.prediction import Correction, Prediction, Served, Stored
from digits.contract.traffic import TrafficStore
from digits.registry.lineage import CORRECTION, DEPLOYMENT, PREDICTION, Lineage, Node


class TrafficWalk:
    """Adds to a lineage what a traffic store has; without a store that is nothing.

    Every method raises TrafficError when the store does not answer.
    """

    def __init__(self, store: TrafficStore | None, found: Lineage) -> None:
        self.store = store
        self.found = found

    @property
    def place(self) -> str:
        """Say where predictions were looked for."""
        return f"in {self.store.name}" if self.store is not None else "(there is no traffic store)"

    @cached_property
    def served(self) -> list[Served]:
        """What each deployment has answered with each version."""
        return self.store.served() if self.store is not None else []

    def prediction(self, identifier: str) -> Stored | None:
        """Return the prediction with this id."""
        return self.store.find(identifier) if self.store is not None else None

    def after_version(self, version: str) -> None:
        """Add the deployments that have answered with a model version below it."""
        for served in self.served:
            if served.version == version:
                self._add_deployment(served.deployment, version)

    def before_prediction(self, stored: Stored) -> None:
        """Add a prediction below its deployment, and that below the version, if there is one."""
        prediction = stored.prediction
        above = self._add_deployment(prediction.deployment, prediction.version)
        self.found.add(_prediction_node(stored), after=above)

    def after_prediction(self, prediction: str) -> None:
        """Add what was said of a prediction below it."""
        if self.store is not None:
            for chunk in self.store.corrections(of=prediction):
                for correction in chunk:
                    self.found.add(_correction_node(correction), after=prediction)

    def _add_deployment(self, name: str, version: str) -> str:
        identifier = f"{name}@{version}"
        if identifier in self.found or self.store is None:
            return identifier
        noted = self.store.deployment(name)
        facts: dict[str, Any] = {"deployment": name, "version": version}
        lacks = ["who started it, and where, is not on record"] if noted is None else []
        if noted is not None:
            facts |= {"started": _time(noted.started), "kind": noted.kind, "host": noted.host}
            facts["settings"] = noted.settings
        for served in self.served:
            if (served.deployment, served.version) == (name, version):
                facts |= {"first": _time(served.first), "last": _time(served.last)}
                facts["predictions"] = served.predictions
        if version not in self.found:
            lacks.append(f"the model that answered is not registered: {version}")
        node = Node(DEPLOYMENT, identifier, facts, tuple(lacks))
        self.found.add(node, after=version if version in self.found else None)
        return identifier


def _prediction_node(stored: Stored) -> Node:
    """Return the node of a prediction, without its image: that is the client's."""
    prediction: Prediction = stored.prediction
    facts = prediction._asdict() | {
        "time": _time(prediction.time),
        "probabilities": [
            round(each, 6) for each in struct.unpack("<10f", prediction.probabilities)
        ],
        "suggestion": stored.suggestion,
    }
    del facts["pixels"]
    lacks = () if prediction.pixels is not None else ("its image was not kept",)
    return Node(PREDICTION, prediction.id, facts, lacks)


def _correction_node(correction: Correction) -> Node:
    facts = correction._asdict() | {"time": _time(correction.time)}
    return Node(CORRECTION, f"{correction.prediction}/{correction.number}", facts)


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
