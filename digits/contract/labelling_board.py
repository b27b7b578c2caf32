"""What a labelling queue and the events about it amount to, followed event by event."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256

from digits.contract.label import Event, Labeller, Progress

SECOND_OPINIONS = 0.1  # share of a labeller's samples that another has labelled already


@dataclass(slots=True)
class Item:
    """A queued sample and what is said of it.

    Attributes:
        number, place, sample, control: as queued.
        votes: labeller -> the label that stands.
        skips: labeller -> the skip that stands.
        withdrawn: whose label was withdrawn.
        verdict: the label that counts; None where there is none, or no agreement.
        since: the event since which it counts.
    """

    number: int
    place: int
    sample: str
    control: int | None
    votes: dict[str, Event] = field(default_factory=dict)
    skips: dict[str, Event] = field(default_factory=dict)
    withdrawn: set[str] = field(default_factory=set)
    verdict: int | None = None
    since: Event | None = None

    @property
    def standing(self) -> tuple[bool, bool, bool]:
        """Whether a label counts, whether labellers disagree, and whether it is only skipped."""
        is_labelled = self.verdict is not None
        return (
            is_labelled,
            bool(self.votes) and not is_labelled,
            bool(self.skips and not self.votes),
        )

    def is_done_by(self, labeller: str) -> bool:
        """Tell whether this labeller is not to be asked any more."""
        return labeller in self.votes or labeller in self.skips or labeller in self.withdrawn

    def judge(self, event: Event) -> None:
        """See which label counts now, after this event."""
        ranking = Counter(vote.label for vote in self.votes.values()).most_common(2)
        is_tie = len(ranking) == 2 and ranking[0][1] == ranking[1][1]
        verdict = ranking[0][0] if ranking and not is_tie else None
        if verdict != self.verdict:
            self.verdict, self.since = verdict, event

    @property
    def first(self) -> Event:
        """The first of the standing labels that say what counts."""
        return min(vote for vote in self.votes.values() if vote.label == self.verdict)


class Board:
    """Every item, and every answer that stands."""

    def __init__(self) -> None:
        self.items: dict[str, Item] = {}
        self.numbered: dict[int, Item] = {}
        self.last_item = self.last = 0
        self._samples: list[Item] = []  # the most useful first
        self._controls: list[Item] = []
        self._progress = Progress(0, 0, 0, 0)
        self._answers: dict[int, Event] = {}  # those that stand, by number, the newest last
        self._given: Counter[str] = Counter()  # by labeller, with those taken back
        self._withdrawn: Counter[str] = Counter()

    def add(self, items: Iterable[Item]) -> None:
        """Take queued samples, in the order of their numbers."""
        for item in items:
            self.items[item.sample] = self.numbered[item.number] = item
            self.last_item = item.number
            (self._samples if item.control is None else self._controls).append(item)
        for order in (self._samples, self._controls):
            # Scores of two selections do not compare; the places that they give do.
            order.sort(key=lambda item: (item.place, -item.number))
        self._progress = self._progress._replace(queued=len(self._samples))

    def apply(self, event: Event) -> None:
        """Take the next event."""
        self.last = event.number
        item = self.items[event.sample]
        before = item.standing
        if event.of is None:
            self._answers[event.number] = event
            self._given[event.labeller] += 1
            kept = item.votes if event.action == "label" else item.skips
            kept[event.labeller] = event
        else:
            answer = self._answers.pop(event.of)
            kept = item.votes if answer.action == "label" else item.skips
            del kept[answer.labeller]
            if event.action == "withdraw":
                item.withdrawn.add(answer.labeller)
                self._withdrawn[answer.labeller] += 1
        item.judge(event)
        if item.control is None:
            changes = zip(self._progress[1:], item.standing, before, strict=True)
            counts = (count + now - then for count, now, then in changes)
            self._progress = Progress(len(self._samples), *counts)

    def standing(self, sample: str, labeller: str) -> Event | None:
        """Return the labeller's answer on this sample."""
        item = self.items[sample]
        return item.votes.get(labeller) or item.skips.get(labeller)

    def answers(self, labeller: str) -> list[Event]:
        """Return the labels and skips of this labeller that stand, the oldest first."""
        return [each for each in self._answers.values() if each.labeller == labeller]

    def choose(self, labeller: str, held: Collection[str]) -> Item | None:
        """Return the most useful sample to ask this labeller about, or at times one that checks.

        Args:
            labeller: who asks.
            held: samples that others have before them.

        Returns:
            None where nothing is left to label.
        """
        samples = functools.partial(self._free, labeller, held)
        useful = next((item for item in samples() if item.verdict is None), None)
        if useful is None:
            return None
        draw = _draw(f"{labeller}/{self._given[labeller]}")
        share = len(self._controls) / (len(self._controls) + len(self._samples))
        controls = [item for item in self._controls if not item.is_done_by(labeller)]
        if draw < share and controls:
            return controls[int(draw / share * len(controls))]
        if share <= draw < share + SECOND_OPINIONS:
            return next((item for item in samples() if len(item.votes) == 1), useful)
        return useful

    def _free(self, labeller: str, held: Collection[str]) -> Iterator[Item]:
        for item in self._samples:
            if not item.is_done_by(labeller) and item.sample not in held:
                yield item

    def progress(self) -> Progress:
        """Return how far the queue is labelled."""
        return self._progress

    def labellers(self) -> list[Labeller]:
        """Return everybody who has ever answered, by name."""
        rows = {name: Labeller(name, 0, 0, 0, 0, 0, 0) for name in sorted(self._given)}
        for item in (*self._samples, *self._controls):
            for name, vote in item.votes.items():
                row = rows[name]
                if item.control is not None:
                    right = vote.label == item.control
                    rows[name] = row._replace(right=row.right + right, wrong=row.wrong + 1 - right)
                    continue
                same = sum(other.label == vote.label for other in item.votes.values()) - 1
                rows[name] = row._replace(
                    labels=row.labels + 1,
                    agreed=row.agreed + same,
                    compared=row.compared + len(item.votes) - 1,
                )
        return [row._replace(withdrawn=self._withdrawn[row.name]) for row in rows.values()]


def _draw(text: str) -> float:
    """Return a number in 0..1 that looks drawn and is always the same for this text."""
    return int.from_bytes(sha256(text.encode()).digest()[:6], "big") / 2**48
