"""What a selection ends with: a screen, a picture, figures, and what to type next."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from digits import STARTED
from digits.active.candidates import Candidates
from digits.active.queueing import SUGGESTION, Chosen
from digits.contract.label import Progress
from digits.evaluation.contact_sheet import Strip, contact_sheet
from digits.tasks.screens import labelling, screen
from digits.tracking.record import Record

MOST_SHOWN = 48  # of each method


@dataclass(frozen=True)
class SelectionSummary:
    """What is told of a selection.

    Attributes:
        record: the job's folder and configuration.
        model: who looked at the pool.
        pool: what it looked at.
        is_served: whether that is served traffic.
        chosen: what it chose.
        queued: how many of these are new in the queue.
        controls: samples with known labels that were queued beside.
        progress: of the whole queue, now.
        scoring_seconds, choosing_seconds: what asking the model and choosing took.
        picture: the contact sheet.
        run_id: of the tracked run.
    """

    record: Record
    model: str
    pool: Candidates
    is_served: bool
    chosen: Chosen
    queued: int
    controls: int
    progress: Progress
    scoring_seconds: float
    choosing_seconds: float
    picture: Path
    run_id: str

    @property
    def title(self) -> str:
        """Heading of the picture."""
        return f"{len(self.chosen)} of {len(self.pool):,} samples worth a label to {self.model}"

    def metrics(self) -> dict[str, float]:
        """Return the figures that are tracked."""
        return {
            "select/pool": len(self.pool),
            "select/queued": self.queued,
            "select/suggestions": self._by().get(SUGGESTION, 0),
            "select/controls": self.controls,
            "select/scoring_seconds": self.scoring_seconds,
            "select/choosing_seconds": self.choosing_seconds,
        }

    def rows(self) -> list[tuple[str, str]]:
        """The table, as (name, value) pairs."""
        left = self.progress.queued - self.progress.labelled
        by = [f"{count} by {method}" for method, count in self._by().items()]
        return [
            ("queued", f"{self.queued} samples: {', '.join(by)}"),
            ("controls", f"{self.controls} samples with known labels, which check the labellers"),
            ("pool", self._pool()),
            ("model", self.model),
            ("to label", f"{left:,} of {self.progress.queued:,} samples in the queue"),
            (
                "time",
                f"{self.scoring_seconds:.1f} s to ask the model, "
                f"{self.choosing_seconds:.1f} s to choose",
            ),
            ("picture", str(self.picture)),
            ("run", self.run_id),
            ("all in all", f"{time.monotonic() - STARTED:.0f} s"),
        ]

    def next_commands(self) -> list[tuple[str, str]]:
        """(command, what it gives); each works as it stands."""
        return [labelling.label_page(self.record), labelling.status(self.record)]

    def _by(self) -> dict[str, int]:
        methods = self.chosen.methods
        return {method: methods.count(method) for method in dict.fromkeys(methods)}

    def _pool(self) -> str:
        if not self.is_served:
            return f"{len(self.pool):,} training images without a label from here"
        first, last = min(self.pool.times), max(self.pool.times)
        return f"{len(self.pool):,} images served from {_when(first)} to {_when(last)}"


def show(summary: SelectionSummary) -> None:
    """Print what was selected, and what can be done next."""
    screen.show(summary.rows(), summary.next_commands())


def draw(chosen: Chosen, file: Path, *, title: str) -> Path:
    """Draw what was chosen, the most useful first, with the model's answers."""
    strips = []
    for method in dict.fromkeys(chosen.methods):
        places = [place for place, each in enumerate(chosen.methods) if each == method]
        shown = places[:MOST_SHOWN]
        more = f", the first {len(shown)} of {len(places)}" if len(places) > len(shown) else ""
        strips.append(
            Strip(
                f"by {method}{more}",
                [chosen.candidates.images[place] for place in shown],
                [_caption(chosen, place) for place in shown],
            )
        )
    return contact_sheet(strips, file, title=title)


def _caption(chosen: Chosen, place: int) -> str:
    probabilities = chosen.probabilities[place]
    answer = f"{probabilities.argmax()} ({probabilities.max():.0%})"
    said = chosen.candidates.suggestions[place]
    return answer if said is None else f"{answer}\nsaid: {said}"


def _when(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M UTC")
