"""The push: what the service answered and what labellers said goes into the feature store.

It begins where it has stopped. Killed at any point, it writes the same rows again to the same
places; nothing is lost, and nothing is there twice.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from digits.contract.files import write_atomically
from digits.contract.label import Verdict
from digits.contract.labelling import LabelStore
from digits.contract.prediction import Prediction, issued
from digits.contract.traffic import TrafficStore
from digits.errors import FeatureError
from digits.features import online
from digits.features.ingest import Embed, of_embeddings, of_pixels, of_shape
from digits.features.parts import PUSHED, moment, table_of
from digits.features.store import FeatureStore
from digits.features.views import (
    EMBEDDING,
    IMAGE,
    KNOWN,
    LABELS,
    PREDICTIONS,
    SAMPLE,
    SERVED,
    SHAPE,
    WITHDRAWN,
    View,
)

POSITION = "position.json"
CHUNK = 1000  # predictions at a time
TICK = timedelta(microseconds=1)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Position:
    """How far the push has come with one traffic store.

    Attributes:
        prediction, event: numbers of the last ones that are in.
        data: digest of which data sets there were: an image of another is that sample from then on,
            so that every label comes in again.
    """

    prediction: int = 0
    event: int = 0
    data: str = ""


@dataclass(frozen=True)
class Pushed:
    """What one step has brought in."""

    predictions: int
    labels: int

    @property
    def is_all(self) -> bool:
        """Whether nothing was left to bring in."""
        return self.predictions + self.labels == 0


class Push:
    """Follows one traffic store, and the label store beside it.

    Args:
        store: the feature store.
        traffic, labels: where predictions and labels come from.
        embed: a model's embedding; None: none.
        model: name of that model.
    """

    def __init__(
        self,
        store: FeatureStore,
        traffic: TrafficStore,
        labels: LabelStore,
        *,
        embed: Embed | None = None,
        model: str = "",
    ) -> None:
        self._store = store
        self._traffic = traffic
        self._labels = labels
        self._embed = embed
        self._model = model
        self._key = hashlib.sha256(traffic.name.encode()).hexdigest()[:8]

    def step(self) -> Pushed:
        """Bring in some predictions, and every label.

        Raises:
            TrafficError: the traffic store does not answer.
            FeatureError: the feature store does not answer or cannot be written; nothing counts as
                brought in.
        """
        self._store.feast  # noqa: B018 - opened before the lock, which opening takes too
        with self._store.parts.locked():
            position, data = self.position(), self._data()
            if position.data != data:
                position = replace(position, event=0, data=data)
            rows = next(self._traffic.read(after=position.prediction, chunk=CHUNK), [])
            if rows:
                self._predictions(position, [row.prediction for row in rows])
                position = replace(position, prediction=rows[-1].number)
                self._reach(position)
            happened = [event for chunk in self._labels.events(position.event) for event in chunk]
            labels = self._new_verdicts(position, happened[-1].number) if happened else []
            if labels:
                self._verdicts(position, labels)
            if happened:
                self._reach(replace(position, event=happened[-1].number))
            self._store.parts.tidy()
        return Pushed(len(rows), len(labels))

    def position(self) -> Position:
        """Return how far the push has come."""
        found = self._positions().get(self._key)
        return Position(**found) if found else Position()

    def _data(self) -> str:
        names = "\n".join(self._store.parts.of_data(LABELS))
        return hashlib.sha256(names.encode()).hexdigest()[:8]

    def _positions(self) -> dict[str, dict[str, Any]]:
        file = self._store.root / POSITION
        try:
            found: dict[str, dict[str, Any]] = json.loads(file.read_text(encoding="ascii"))
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise FeatureError(f"features.root: {file} is damaged: {error}") from error
        return found

    def _reach(self, position: Position) -> None:
        content = self._positions() | {self._key: asdict(position)}
        write_atomically(self._store.root / POSITION, json.dumps(content))

    def _write(self, tables: Mapping[View, pa.Table], name: str) -> None:
        """Write online, then offline; the caller then moves the position."""
        parts, part = self._store.parts, f"{PUSHED}-{self._key}-{name}"
        if any(parts.has(view, part) for view in tables):
            log.warning("The push was stopped half-way; what it had brought in comes again.")
        for view, table in tables.items():
            online.write(self._store, view, table)
        for view, table in tables.items():
            parts.write(view, part, table)

    def _predictions(self, position: Position, rows: Sequence[Prediction]) -> None:
        columns = {
            "digit": [row.digit for row in rows],
            "confidence": [row.confidence for row in rows],
            "probabilities": [row.probabilities for row in rows],
            "version": [row.version for row in rows],
            "deployment": [row.deployment for row in rows],
        }
        times = [moment(row.time) for row in rows]
        tables = {PREDICTIONS: table_of(PREDICTIONS, [row.id for row in rows], columns, times)}
        seen = [(row.id, row.pixels, row.time) for row in rows if row.pixels is not None]
        self._write(tables | self._images(seen), f"{position.prediction + 1:012d}")

    def _images(self, seen: Sequence[tuple[str, bytes, float]]) -> dict[View, pa.Table]:
        """Return what is to be known of images: (sample, pixels, when it was seen)."""
        if not seen:
            return {}
        samples = [sample for sample, *_ in seen]
        times = [moment(time) for *_, time in seen]
        content = b"".join(pixels for _, pixels, _ in seen)
        images = np.frombuffer(content, np.uint8).reshape(-1, 28, 28)
        columns: dict[View, Mapping[str, Any]]
        columns = {IMAGE: of_pixels(images), SHAPE: of_shape(images)}
        if self._embed is not None:
            columns[EMBEDDING] = of_embeddings(self._embed(images), self._model)
        return {view: table_of(view, samples, of, times) for view, of in columns.items()}

    def _new_verdicts(self, position: Position, last: int) -> list[tuple[Verdict, datetime]]:
        """Return the changes of labels up to event ``last`` that are not in yet, with their times.

        Two of one sample in the same microsecond are told apart: the later one has to win.
        """
        before: dict[str, datetime] = {}
        timed = []
        for verdict in self._labels.verdicts():
            known = moment(verdict.time)
            if verdict.sample in before:
                known = max(known, before[verdict.sample] + TICK)
            before[verdict.sample] = known
            timed.append((verdict, known))
        return [each for each in timed if position.event < each[0].number <= last]

    def _verdicts(self, position: Position, new: Sequence[tuple[Verdict, datetime]]) -> None:
        of_pool = [verdict for verdict, _ in new if issued(verdict.sample) is None]
        known = self._of_data(of_pool)
        missing = {each.sample: each for each in of_pool if each.pixels not in known}
        self._refuse([each for each in missing.values() if each.label is not None])
        new = [each for each in new if each[0].sample not in missing]  # withdrawn before
        if not new:
            return
        rows = []
        after: dict[str, datetime] = {}
        for verdict, time in new:
            # An image of a data set is that sample, however the pool called it.
            for sample, split, original, since in known.get(
                verdict.pixels, [(verdict.sample, SERVED, None, None)]
            ):
                if verdict.label is not None:
                    said = (verdict.label, "person", verdict.labeller)
                elif original is not None:
                    said = (original, "original", "")
                else:
                    said = (WITHDRAWN, "person", verdict.labeller)
                known_at = time
                if since is not None:  # data that came in later does not undo it
                    known_at = after[sample] = max(time, after.get(sample, since) + TICK)
                rows.append((sample, *said, split, known_at))
        samples, labels, origins, labellers, splits, times = map(list, zip(*rows, strict=True))
        columns = {"label": labels, "origin": origins, "labeller": labellers, "split": splits}
        # The image too: the traffic store may have deleted it before it was brought in.
        seen = {v.sample: (v.sample, v.pixels, v.seen) for v, _ in new if v.pixels not in known}
        tables = self._images(list(seen.values()))
        tables[LABELS] = table_of(LABELS, samples, columns, times)
        self._write(tables, f"labels-{position.event + 1:012d}-{position.data}")

    def _refuse(self, missing: Sequence[Verdict]) -> None:
        """Refuse labels of a data set that the store does not have: which sample is it, there?"""
        if missing:
            names = sorted({each.sample.partition("/")[0] for each in missing})
            raise FeatureError(
                f"features: {len(missing):,} labels are of images of {', '.join(names)} that the "
                f"feature store {self._store.root} does not have: first bring that data in, with "
                f"task=features data={names[0]}"
            )

    def _of_data(
        self, verdicts: Sequence[Verdict]
    ) -> dict[bytes, list[tuple[str, str, int, datetime]]]:
        """Return which samples of data sets have these pixels.

        Returns:
            Pixels -> sample, split, label, and since when that is known.
        """
        wanted = {verdict.pixels for verdict in verdicts}
        if not wanted:
            return {}
        images = self._store.parts.read(IMAGE, [SAMPLE, "pixels"])
        images = images.filter(pc.is_in(images["pixels"], pa.array(list(wanted), pa.binary())))
        labels = self._store.parts.read(LABELS, [SAMPLE, "label", "origin", "split", KNOWN])
        labels = labels.filter(
            pc.and_(
                pc.is_in(labels[SAMPLE], images[SAMPLE]), pc.equal(labels["origin"], "original")
            )
        )
        original = {
            row[SAMPLE]: (row["split"], row["label"], row[KNOWN]) for row in labels.to_pylist()
        }
        found: dict[bytes, list[tuple[str, str, int, datetime]]] = {}
        for row in images.to_pylist():
            if row[SAMPLE] in original:
                found.setdefault(row["pixels"], []).append((row[SAMPLE], *original[row[SAMPLE]]))
        return found
