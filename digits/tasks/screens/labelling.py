"""How far a queue is labelled and by whom, and what to type next."""

from __future__ import annotations

from collections.abc import Sequence

from digits.contract.label import Labeller, Progress
from digits.tasks import commands
from digits.tasks.screens import screen
from digits.tracking.record import Record

PLACES = (*commands.PLACES, "traffic")
SERVES = ("paths", "registry", "tracking")


def show(record: Record, progress: Progress, labellers: Sequence[Labeller]) -> None:
    """Print it.

    Args:
        record: of this job: the next commands are about the same places.
        progress: of the queue.
        labellers: everybody who has ever answered.
    """
    left = progress.queued - progress.labelled - progress.disputed
    rows = [
        ("queued", f"{progress.queued:,} samples"),
        ("labelled", f"{progress.labelled:,}"),
        ("disputed", f"{progress.disputed:,}: their labellers disagree, so no label counts"),
        ("to label", f"{left:,}"),
        *((each.name, _told(each)) for each in labellers),
    ]
    doubtful = [each.name for each in labellers if each.is_doubtful]
    screen.show(rows, _next(record, left, doubtful))


def _told(who: Labeller) -> str:
    agreed = f", agrees {who.agreed} of {who.compared} times" if who.compared else ""
    told = (
        f"{who.labels:,} labels, {who.right} of {who.right + who.wrong} controls right{agreed}"
        f"{f', {who.withdrawn:,} withdrawn' if who.withdrawn else ''}"
    )
    return f"{told}: DOUBTFUL" if who.is_doubtful else told


def _next(record: Record, left: int, doubtful: Sequence[str]) -> list[tuple[str, str]]:
    same = commands.again(record, PLACES)
    found = [
        (
            commands.run("task=select", "action=withdraw", f"labeller={name}", *same),
            f"take the labels of {name} back",
        )
        for name in doubtful
    ]
    if left:
        found.append(label_page(record))
    found.append((commands.run("task=select", *same), "queue more"))
    return found


def status(record: Record) -> tuple[str, str]:
    """Return the command that shows the queue."""
    same = commands.again(record, PLACES)
    return commands.run("task=select", "action=status", *same), "who has labelled what"


def label_page(record: Record) -> tuple[str, str]:
    """Return the command that serves the page to label on."""
    places = [*commands.again(record, SERVES), *commands.serving(record)]
    served = commands.run("task=serve", *places)
    return served, "then label at /label"
