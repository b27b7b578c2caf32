"""What is to be run, what happens meanwhile, and what came of it; the same for every runner."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

When = Literal["always", "drift"]
State = Literal["began", "done", "cached", "failed"]

#: the steps that take overrides of their own, in the order that they come in
STEPS = ("drift", "data", "features", "search", "train", "evaluate", "gate", "promote", "deploy")
NONE = "none"  # of a feature store, a tuner, a target: there is none
PASSED, REJECTED = "passed", "rejected"  # what the gate says


@dataclass(frozen=True)
class Order:
    """One pipeline: its form, and the values of its parameters.

    Attributes:
        name: the registered model.
        root: folder of everything that steps write, as they see it (``paths.root``).
        shared: overrides of every step, in Hydra's grammar.
        data: overrides of the steps that read data.
        overrides: step -> overrides of its own.
        code: what stands for the program in the keys of the cache.
        when: always; or drift: only where ``task=drift`` finds some.
        feature_store: option of ``features`` that is filled and learned from, or none.
        search: option of ``tuner`` that looks for the best configuration first, or none.
        target: option of ``deployment`` that a promoted model goes to, or none.
    """

    name: str
    root: str
    shared: Sequence[str]
    data: Sequence[str]
    overrides: Mapping[str, Sequence[str]] = field(default_factory=dict)
    code: str = ""
    when: When = "always"
    feature_store: str = NONE
    search: str = NONE
    target: str = NONE

    def parameters(self) -> dict[str, Any]:
        """Return the values of the pipeline's parameters, all of which a run may change."""
        place = {
            "root": self.root,
            "name": self.name,
            "code": self.code,
            "shared": list(self.shared),
            "data": list(self.data),
        }
        return {"place": place, **{step: list(self.overrides.get(step, ())) for step in STEPS}}

    def steps(self) -> list[str]:
        """Return the steps that this pipeline has, without those that follow from an end."""
        absent = {
            "drift": self.when == "always",
            "features": self.feature_store == NONE,
            "search": self.search == NONE,
            "deploy": self.target == NONE,
        }
        return [step for step in STEPS if not absent.get(step)]


@dataclass(frozen=True)
class Event:
    """Something has happened to a step; ``seconds`` is what it took, where that is known."""

    step: str
    state: State
    seconds: float | None = None


Tell = Callable[[Event], None]


@dataclass(frozen=True)
class Outcome:
    """What a runner has to tell in the end.

    Attributes:
        rows: what the screen shows, (name, value).
        events: of every step, how it ended.
        decision: what the gate has said; None: it was not asked, or not here.
        version: number of the version that was trained; None: none, or not here.
    """

    rows: Sequence[tuple[str, str]]
    events: Sequence[Event] = ()
    decision: str | None = None
    version: str | None = None


class Runner(Protocol):
    """Runs an order, or hands it to what will."""

    root: str  # folder of everything that steps write, as they see it
    here: bool  # whether what a step starts goes on after it, on this machine
    keeps: bool  # whether what a step writes below the root is there for the next

    def code(self, project: Path) -> str:
        """Return what stands for the program that the steps will run."""

    def run(self, order: Order, folder: Path, tell: Tell) -> Outcome:
        """Run ``order``; what it writes of its own goes to ``folder``.

        Raises:
            PipelineError: a step failed, or the engine cannot be had.
        """
