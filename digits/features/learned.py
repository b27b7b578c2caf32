"""A source whose training split is what the feature store knew at a time."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from digits.contract.files import write_atomically
from digits.data.source import Source
from digits.data.types import Digits
from digits.errors import ConfigError, Finding
from digits.features.store import FeatureStore

if TYPE_CHECKING:  # loads pyarrow, which a training without features does without
    from digits.features.training_set import TrainingSet
    from digits.tracking.run import Run

FILE = "features.json"
SERVICE_TAG = "digits.feature_service"
AS_OF_TAG = "digits.features_as_of"

log = logging.getLogger(__name__)


class Learned:
    """What a training reads in place of its source.

    Args:
        source: the data; its validation and test splits stay.
        store: joins its training split.
        folder: of the run; keeps the time, so that a resumed run learns the same.
    """

    def __init__(self, source: Source, store: FeatureStore, folder: Path) -> None:
        self.source = source
        self.store = store
        self._file = folder / FILE

    @cached_property
    def as_of(self) -> datetime:
        """The time; that of the configuration, or when it was first asked for."""
        if self._file.exists():
            said = json.loads(self._file.read_text(encoding="ascii"))["as_of"]
            return datetime.fromisoformat(said)
        moment = self.store.as_of or datetime.now(UTC)
        write_atomically(self._file, json.dumps({"as_of": moment.isoformat()}) + "\n")
        return moment

    @cached_property
    def own(self) -> Digits:
        """What the source has.

        Raises:
            DataError: it cannot be read.
        """
        return self.source.load()

    @cached_property
    def joined(self) -> TrainingSet:
        """What is learned from.

        Raises:
            DataError: the data cannot be read.
            FeatureError: the feature store does not have it, or cannot be read.
        """
        from digits.features.training_set import training_set

        return training_set(self.store, self.own, self.as_of)

    def load(self) -> Digits:
        """See :class:`~digits.data.source.Source`."""
        return self.joined.digits

    def keep(self, data: Digits, *, commit: str, config_digest: str, config: Path) -> None:
        """Keep what the source has, and the join as made of it.

        Raises:
            DataError: too large for a version, or there is no store.
            TrackingError: the store does not answer, or cannot be written.
        """
        from digits.data.version import Made

        made = {"commit": commit, "config_digest": config_digest}
        self.source.keep(self.own, **made, config=config)
        versions = self.source.store
        assert versions is not None  # else the source had refused
        if not versions.holds(data.digest):
            versions.put(
                data, "preprocessed", Made.now(**made, parent=self.own.digest), config=config
            )

    def record(self, run: Run, name: str) -> None:
        """Keep which views the model of this run learned from, and as of when.

        Args:
            run: the open run.
            name: the registered model; a feature service ``<name>-<run id>`` appears.
        """
        from digits.features.training_set import READ

        joined, service = self.joined, f"{name}-{run.id}"
        told = {SERVICE_TAG: service, AS_OF_TAG: self.as_of.isoformat()}
        self.store.serve(service, READ, {**told, "digits.data_digest": joined.digits.digest})
        # Tags, not metrics: a reproduction has the data of its original, and does not join again.
        counts = {"added": joined.added, "corrected": joined.corrected, "dropped": joined.dropped}
        run.set_tags(told | {f"digits.features_{name}": str(n) for name, n in counts.items()})
        log.info(
            "As of %s: %d samples added, %d labels corrected, %d samples are no digits.",
            self.as_of.isoformat(timespec="seconds"),
            joined.added,
            joined.corrected,
            joined.dropped,
        )


def of_one_time(store: FeatureStore, *, several: bool) -> None:
    """Refuse that the jobs of a sweep learn from what is known at different times.

    Raises:
        ConfigError: there are several, and no time is given.
    """
    if several and store.as_of is None:
        message = "give a time, so that every job learns the same: features.as_of=2026-01-31T12:00"
        raise ConfigError([Finding("features.as_of", message)])
