"""`once=<text>`: a training that has been done is not done again.

Whoever repeats a command after a failure cannot know how far it came. A run of the same
configuration, the text included, that has registered a version gives that version again.
"""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import dataclass
from pathlib import Path

from digits.contract.files import appearing, write_atomically
from digits.registry.find import find_model
from digits.registry.versions import BUNDLE, Version, challenge
from digits.tasks.sweeps.results import REPORTED
from digits.tracking.faults import explained
from digits.tracking.record import Record
from digits.tracking.store import Tracking

VERSION_FILE = "version.json"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Earlier:
    """A version that the same training has registered.

    Attributes:
        version: the version.
        run_id: of that training.
        metrics: its final ones.
    """

    version: Version
    run_id: str
    metrics: dict[str, float]

    @property
    def selected(self) -> float:
        """What the training returned."""
        return next(self.metrics[name] for name in REPORTED if name in self.metrics)

    def give(self, record: Record, tracking: Tracking, cache: Path) -> None:
        """Leave in this run's folder what the training left in its own.

        A training that was killed right after it had registered its version made no challenger.
        """
        challenge(tracking.client(), self.version)
        model = find_model(
            tracking.client(), str(self.version.number), name=self.version.name, cache=cache
        )
        with appearing(record.folder / BUNDLE) as draft:
            shutil.copytree(model.folder, draft, dirs_exist_ok=True)
        write_atomically(record.metrics_file, json.dumps(self.metrics, indent=2) + "\n")
        note(record, self.version, self.run_id)
        log.info("%s is this training already (run %s)", self.version, self.run_id)


def earlier(record: Record, tracking: Tracking, name: str) -> Earlier | None:
    """Return what the last training of this configuration has registered; None: nothing.

    Raises:
        TrackingError: the store does not answer.
    """
    client = tracking.client()
    wanted = f"tags.`digits.config_digest` = '{record.config_digest}'"
    for run in reversed(tracking.search(f"{wanted} and tags.`digits.task` = 'train'")):
        with explained(tracking.uri):
            found = client.search_model_versions(f"name='{name}' and run_id='{run.info.run_id}'")
        if found:
            version = Version(name, max(int(each.version) for each in found))
            of_training = {
                name: value
                for name, value in run.data.metrics.items()
                if not name.startswith("system/")
            }
            return Earlier(version, run.info.run_id, of_training)
    return None


def note(record: Record, version: Version, run_id: str) -> None:
    """Write down which version came out, for whoever called the command."""
    told = {"name": version.name, "number": version.number, "run_id": run_id}
    write_atomically(record.folder / VERSION_FILE, json.dumps(told, indent=2) + "\n")
