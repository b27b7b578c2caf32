"""What the steps of a turn share."""

from __future__ import annotations

from dataclasses import dataclass

from digits.contract.labelling import LabelStore
from digits.contract.traffic import TrafficStore
from digits.data.types import Split
from digits.deployment.local import Local
from digits.tasks.turn.commands import Commands
from digits.tasks.turn.plan import Plan
from digits.tasks.turn.state import State
from digits.tasks.turn.visitors import Visit, Visitors, visits
from digits.tracking.store import Tracking
from serving.settings import api_keys


@dataclass(frozen=True)
class Turn:
    """Everything the steps share.

    Attributes:
        plan: how it is played.
        state: what is done.
        commands: runs the tasks.
        digits: what visitors write: no model has learned from them.
        source: name of the data.
        traffic_url, store: the traffic store.
        labels: the queue and its labels.
        tracking, name: the registry, and the model in it.
        service: the deployment.
        seed: of the visitors.
    """

    plan: Plan
    state: State
    commands: Commands
    digits: Split
    source: str
    traffic_url: str
    store: TrafficStore
    labels: LabelStore
    tracking: Tracking
    name: str
    service: Local
    seed: int

    @property
    def visitors_name(self) -> str:
        """Begins the key of each request of this turn."""
        return f"loop-{int(1000 * self.state.began):x}"

    def visitors(self) -> Visitors:
        """Return who asks the service."""
        return Visitors(
            self.service.state().address,
            self.digits,
            name=self.visitors_name,
            shift=self.plan.shift,
            seed=self.seed,
            api_key=next(iter(sorted(api_keys())), None),
        )

    def visits(self) -> list[Visit]:
        """Return every answer that visitors have got in this turn."""
        return list(visits(self.store, self.visitors_name))

    def labelled(self) -> set[int]:
        """Return which digits were labelled, in this turn or before it.

        They are no test of what was learned.
        """
        known = {each.sample for each in self.labels.confirmed()}
        return {each.index for each in visits(self.store, None) if each.id in known}
