"""The screen that a simulation ends with: its curve, and every method of the same protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table

from digits.active.comparison import GOALS, PLACES, Method, figures
from digits.active.rounds import Curve
from digits.tasks import commands


@dataclass(frozen=True)
class ActiveSummary:
    """What the screen shows; ``labelled`` is what a training can be told to learn from."""

    data: str
    curve: Curve
    compared: Sequence[Method]
    picture: Path
    kept: Path
    run_id: str
    labelled: Path | None
    same: Sequence[str] = ()

    def rows(self) -> list[tuple[str, str]]:
        """The upper table, as (name, value) pairs."""
        rounds = self.curve.rounds
        last = rounds[-1]
        seconds, cpu = (
            sum(each.seconds for each in rounds),
            sum(each.cpu_seconds for each in rounds),
        )
        return [
            ("data", self.data),
            ("method", f"{self.curve.acquisition}, seed {self.curve.seed}"),
            ("accuracy", f"{last.accuracy:.2%} with {last.labels} labels"),
            *((f"{goal:.0%}", self._reached(goal)) for goal in GOALS),
            ("time", f"{seconds / 60:.1f} minutes, {cpu / 60:.1f} of one processor"),
            ("rounds", str(self.kept)),
            ("picture", str(self.picture)),
            ("run", self.run_id),
        ]

    def _reached(self, goal: float) -> str:
        labels = self.curve.labels_to(goal)
        return f"with {labels:.0f} labels" if isfinite(labels) else "not reached"

    def table(self) -> Table:
        """The lower table: all that has been simulated under this protocol."""
        places = [place for place in PLACES if place <= self.curve.rounds[-1].labels]
        shown = [figures(method, places) for method in self.compared]
        table = Table(
            title="\nlabels to an accuracy, accuracy at labels: median (quartiles) over seeds",
            title_justify="left",
            box=SIMPLE_HEAD,
            pad_edge=False,
        )
        for heading in shown[0]:
            table.add_column(heading, justify="left" if heading == "method" else "right")
        for row in shown:
            table.add_row(*row.values())
        return table

    def next_commands(self) -> list[tuple[str, str]]:
        """(command, what it gives); each works as it stands."""
        every = ("task=active", "acquisition=margin,random", "seed=0,1,2", *self.same, "-m")
        last = self.curve.rounds[-1].labels
        few = ("experiment=mnist_few_labels", f"data.labelled={self.labelled}")
        trained = commands.run(*few, f"data.train_size={last}", *self.same)
        return [
            (commands.run(*every), "methods over seeds, in one picture"),
            *(
                [(trained, "learn from these labels and the images without")]
                if self.labelled
                else []
            ),
            (commands.run("task=select", *self.same), "choose for real, to be labelled on a page"),
        ]
