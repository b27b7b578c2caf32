"""A training that is done again: on the same data, and held against the run that it repeats."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from mlflow.entities import Run as RecordedRun
from rich.table import Table

from digits.contract.manifest import WEIGHTS, Manifest
from digits.data.exact import Exact
from digits.data.source import Source
from digits.errors import NotReproducedError
from digits.tasks import reproduce
from digits.tasks.screens.screen import standard_output
from digits.tracking.comparison import (
    DEVICE,
    THREADS,
    Difference,
    input_differences,
    result_differences,
    results,
)
from digits.tracking.faults import explained
from digits.tracking.run import Run
from digits.tracking.store import Tracking

log = logging.getLogger(__name__)

OF_TAG = "digits.reproduces"
OUTCOME_TAG = "digits.reproduced"
WEIGHTS_NAME = "weights (sha256)"
MOST_SHOWN = 24  # characters of a number (never cut) or a digest


class Reproduction:
    """One training beside its original.

    Args:
        tracking: the store that both are recorded in.
        wanted: id or folder of the original.

    Raises:
        ReproductionError: there is no such run, or none that can be reproduced.
    """

    def __init__(self, tracking: Tracking, wanted: str) -> None:
        self.tracking = tracking
        self.original = reproduce.original(tracking, wanted)

    def data(self, source: Source) -> Exact:
        """Return the source of the very data that the original learned from.

        Raises:
            DataError: it cannot be had any more.
        """
        exact = Exact(source, self.original.data.tags[reproduce.DIGEST_TAG])
        exact.load()  # before a run is opened that could only fail
        return exact

    def begin(self, run: Run) -> None:
        """Mark the run, and say what differs of what it starts from."""
        run.set_tags({OF_TAG: self.original.info.run_id})
        now = self.tracking.find(run.id)
        # Which device computes is known when it has computed.
        found = [each for each in input_differences(self.original, now) if each.name != DEVICE]
        for line in _told(found):
            log.warning("Differs from the original: %s", line)

    def settle(self, run: Run, manifest: Manifest) -> None:
        """Compare what came out with the original, show it, and mark the run.

        Raises:
            NotReproducedError: a number differs.
        """
        now = self.tracking.find(run.id)
        weights = self._weights(run)
        found = result_differences(self.original, now)
        if weights not in (None, manifest.files[WEIGHTS]):
            found.append(Difference(WEIGHTS_NAME, weights, manifest.files[WEIGHTS]))
        run.set_tags({OUTCOME_TAG: str(not found).lower()})
        show(self.original, now, found, weights=weights)
        if found:
            raise NotReproducedError(self._verdict(found, input_differences(self.original, now)))

    def _weights(self, run: Run) -> str | None:
        """Return the sha256 of the original's weights; None where it is no version."""
        with explained(run.uri):
            found = run.client.search_model_versions(f"run_id='{self.original.info.run_id}'")
        return next((str(each.tags["weights_sha256"]) for each in found), None)

    def _verdict(self, found: Sequence[Difference], inputs: Sequence[Difference]) -> str:
        lines = [
            f"reproduce: run {self.original.info.run_id} is not reproduced. Other numbers came "
            f"out: {', '.join(each.name for each in found)}.",
        ]
        if inputs:
            lines.append("It did not start from the same:")
            lines += [f"  {line}" for line in _told(inputs)]
        else:
            lines.append(
                "Everything that is on record of what it starts from is the same: data, "
                "configuration, seed, code, libraries, processor, threads."
            )
        return "\n".join(lines)


def show(
    then: RecordedRun, now: RecordedRun, found: Sequence[Difference], *, weights: str | None
) -> None:
    """Print every number of both runs, and what it comes to."""
    console = standard_output()
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("", style="bold")
    for run in (then, now):
        table.add_column(f"run {run.info.run_id[:12]}", justify="right")
    table.add_column("")
    differing = {each.name: each for each in found}
    numbers = {name: repr(value) for name, value in sorted(results(then).items())}
    for name, value in (numbers if weights is None else numbers | {WEIGHTS_NAME: weights}).items():
        other = str(differing[name].now) if name in differing else value
        mark = "[red]different[/red]" if name in differing else "[green]equal[/green]"
        table.add_row(name, value[:MOST_SHOWN], other[:MOST_SHOWN], mark)
    console.print(table, highlight=False)
    if not found:
        also = "" if weights is None else " and the weights"
        console.print(
            f"\nReproduced: all {len(numbers)} numbers{also} are equal to the last bit. "
            f"The run is {now.info.run_id}; it became no model version.",
            highlight=False,
            soft_wrap=True,
        )


def _told(inputs: Sequence[Difference]) -> list[str]:
    """Return a line for each input that differs, and one for all that are not on record."""
    lines = [f"{each}{_advice(each)}" for each in inputs if each.then is not None]
    unknown = [each.name for each in inputs if each.then is None]
    return [*lines, f"not on its record: {', '.join(unknown)}"] if unknown else lines


def _advice(difference: Difference) -> str:
    if difference.name == THREADS:
        return f" (OMP_NUM_THREADS={difference.then} sets them, as far as there are cores)"
    return ""
