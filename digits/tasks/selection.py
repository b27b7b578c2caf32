"""One selection, from a pool and a model to rows of the labelling queue."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from digits.active.acquisition import Acquisition
from digits.active.candidates import Candidates, of_data, of_traffic, unqueued
from digits.active.pool import Scored
from digits.active.queueing import choose, controls, mixed
from digits.active.views import Graph, Network, View, quickened, steps, view
from digits.contract.files import write_atomically
from digits.contract.label import Queued
from digits.contract.labelling import LabelStore
from digits.contract.manifest import ONNX
from digits.contract.traffic import TrafficStore
from digits.data.source import Source
from digits.data.types import Digits
from digits.errors import RegistryError
from digits.registry.find import Model, find_model
from digits.tasks.progress import progress
from digits.tasks.ray_parts import over
from digits.tasks.screens.selection import SelectionSummary, draw, show
from digits.tracking.record import Record
from digits.tracking.run import Run
from digits.tracking.store import Tracking

FOLDER = "selection"
SHEET, ROWS = "selected.png", "selected.json"
MOST_LABELLED = 2000  # of what is labelled, from which distance is kept


@dataclass(frozen=True)
class Wanted:
    """What is to be selected; see :func:`digits.tasks.select.select`."""

    version: str
    name: str
    cache: Path
    acquisition: Acquisition
    pool: str
    count: int
    controls: float
    suggestions: bool
    since: float | None
    until: float | None
    limit: int
    draws: int
    traffic_url: str
    ray_address: str | None


def run(record: Record, wanted: Wanted, source: Source, tracking: Tracking) -> float:
    """Select and queue; returns how many samples are new in the queue, controls left out."""
    model = find_model(tracking.client(), wanted.version, name=wanted.name, cache=wanted.cache)
    labels, traffic = LabelStore(wanted.traffic_url), TrafficStore(wanted.traffic_url)
    try:
        known = labels.samples() if labels.exists() else set()
        needs_data = wanted.pool == "data" or wanted.controls or wanted.acquisition.needs
        data = source.load() if needs_data else None
        name = None if model.version is None else model.version.name
        pool = _pool(wanted, traffic, data, known, name)
        selection = Selection(record, wanted, model, data, pool)
        with record.claimed(), tracking.start(record) as tracked:
            tracked.log_record(record)
            summary = selection.queue(tracked, labels, known)
    finally:
        labels.close()
        traffic.close()
    if record.job is None:
        show(summary)
    return float(summary.queued)


def _pool(
    wanted: Wanted,
    traffic: TrafficStore,
    data: Digits | None,
    known: Collection[str],
    name: str | None,
) -> Candidates:
    if wanted.pool == "data":
        assert data is not None
        return of_data(data, known, limit=wanted.limit)
    bounds = {"since": wanted.since, "until": wanted.until}
    return of_traffic(traffic, known, **bounds, name=name, limit=wanted.limit)


@dataclass(frozen=True)
class Selection:
    """Everything that one selection needs.

    Attributes:
        record: the job's folder and configuration.
        wanted: what is to be selected.
        model: who looks at the pool.
        data: where controls come from; None where none are needed.
        pool: unlabelled images, at least one.
    """

    record: Record
    wanted: Wanted
    model: Model
    data: Digits | None
    pool: Candidates

    def queue(self, tracked: Run, labels: LabelStore, known: Collection[str]) -> SelectionSummary:
        """Choose and queue, all or nothing; then keep with the run what was chosen."""
        generator = np.random.default_rng(self.record.seed)
        wanted, started = self.wanted, time.monotonic()
        tracked.set_tags(self.model.tags)
        try:
            asked = self._asked()
            scored = self._scored(asked, labels, generator)
            scoring = time.monotonic() - started
            chosen = choose(
                self.pool,
                scored,
                wanted.acquisition,
                wanted.count,
                suggestions=wanted.suggestions,
                generator=generator,
            )
        except ValueError as error:
            told = getattr(error, "cause", error)  # Ray wraps what was raised elsewhere
            raise RegistryError(f"{self.model} cannot be asked what to label: {told}") from error
        choosing = time.monotonic() - started - scoring
        version = self.model.version
        rows = chosen.rows(
            f"{version.name}/{version.number}" if version else str(self.model.folder)
        )
        checks = self._controls(asked, rows, known, generator)
        new = labels.enqueue(mixed(rows, checks, generator))
        summary = SelectionSummary(
            record=self.record,
            model=str(self.model),
            pool=self.pool,
            is_served=wanted.pool == "traffic",
            chosen=chosen,
            queued=new - len(checks),
            controls=len(checks),
            progress=labels.progress(),
            scoring_seconds=scoring,
            choosing_seconds=choosing,
            picture=self.record.folder / FOLDER / SHEET,
            run_id=tracked.id,
        )
        self._keep(tracked, summary)
        return summary

    def _asked(self) -> View:
        """Return the model as it is asked: its graph where that is enough, which is quicker."""
        needs = self.wanted.acquisition.needs
        temperature = self.model.manifest.temperature or 1.0
        if not needs:
            return Graph((self.model.folder / ONNX).read_bytes(), temperature)
        from digits.tasks.trained import trained_network  # torch only where it is wanted

        network = trained_network(self.model.folder, self.model.manifest)
        asked = Network(quickened(network, temperature), needs, self.wanted.draws, self.record.seed)
        if "draws" in needs and asked(self.pool.images[:1]).draws is None:
            raise RegistryError(
                f"acquisition: {self.wanted.acquisition.name} needs draws of the network, and "
                f"{self.model} has no dropout before its last layer that could make some: choose "
                f"another one (acquisition=margin), or train with model.dropout=0.2"
            )
        return asked

    def _scored(self, asked: View, labels: LabelStore, generator: np.random.Generator) -> Scored:
        """Ask about the pool, and where embeddings count, about what is labelled already."""
        wanted, images = self.wanted, self.pool.images
        with (
            over(wanted.ray_address) as goes,
            progress(steps(images), name="asking the model") as step,
        ):
            scored = view(asked, images, over=goes, step=step)
        if "embeddings" not in wanted.acquisition.needs:
            return scored
        confirmed = b"".join(each.pixels for each in labels.confirmed())
        labelled = np.frombuffer(confirmed, np.uint8).reshape(-1, 28, 28)
        if wanted.pool == "traffic":
            assert self.data is not None
            labelled = np.concatenate([labelled, self.data.train.images])
        if not len(labelled):
            return scored
        some = generator.permutation(len(labelled))[:MOST_LABELLED]
        return replace(scored, labelled=view(asked, labelled[some]).embeddings)

    def _controls(
        self,
        asked: View,
        rows: Sequence[Queued],
        known: Collection[str],
        generator: np.random.Generator,
    ) -> list[Queued]:
        """Draw training images whose labels are known, except those that are to be labelled."""
        count = int(self.wanted.controls * len(rows) + 0.5)
        if not count:
            return []
        assert self.data is not None
        places = unqueued(self.data, {*known, *(row.sample for row in rows)})
        taken = generator.permutation(places)[:count]
        split = self.data.train.take(taken)
        return controls(split, view(asked, split.images).probabilities, rows) if len(taken) else []

    def _keep(self, tracked: Run, summary: SelectionSummary) -> None:
        folder = self.record.folder / FOLDER
        folder.mkdir(exist_ok=True)
        draw(summary.chosen, folder / SHEET, title=summary.title)
        rows = summary.chosen.told()
        write_atomically(folder / ROWS, json.dumps(rows, indent=1) + "\n")
        numbers = summary.metrics()
        write_atomically(self.record.metrics_file, json.dumps(numbers, indent=2) + "\n")
        tracked.log_folder(folder, FOLDER)
        tracked.log_metrics(numbers)
