"""`task=data`: raw, preprocessed and augmented data as versions, and what changed between two."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field

from digits.contract.files import write_atomically
from digits.data.archive import Stage
from digits.data.augmented import Copies, augmented
from digits.data.changes import Changes, Sample, changes
from digits.data.raw import Raw
from digits.data.source import Source
from digits.data.types import Augment, Digits
from digits.data.version import Made, Version
from digits.data.versions import Versions
from digits.errors import DataError
from digits.evaluation.contact_sheet import Strip, contact_sheet
from digits.tasks.screens import data as data_summary
from digits.tasks.screens.data import Kept
from digits.tracking.record import Record, git_commit

VERSIONS_FILE = "versions.json"
CHANGES_FILE = "changes.json"
CONTACT_SHEET = "contact_sheet.png"
MOST_LISTED = 1000  # samples of each kind in the JSON file
MOST_DRAWN = 24  # samples of each kind in the contact sheet

Two = Annotated[Sequence[str | int], Field(min_length=2, max_length=2)]


def data(
    record: Record,
    *,
    source: Source,
    augmentation: Augment,
    store: Versions,
    copies: Copies = 1,
    seed: int = 0,
    compare: Two | None = None,
) -> None:
    """Keep the data in its three stages, or show what changed between two versions.

    Args:
        record: the job's folder and configuration.
        source: the data; where it names a stored version, what comes after that is made of it.
        augmentation: of the training part.
        store: where versions are kept.
        copies: augmented draws of each training image.
        seed: of the augmentation.
        compare: two versions of one stage (digests, or ``<stage>:latest`` of the source); nothing
            is kept then.

    Raises:
        DataError: the data cannot be read or kept, or a version is unknown or damaged.
        TrackingError: the store does not answer.
    """
    if compare is not None:
        before, after = (
            store.find(str(wanted), name=source.name, key="compare") for wanted in compare
        )
        _compare(record, store, before, after)
        return
    kept = _Keeper(record, store).keep(source, augmentation, copies=copies, seed=seed)
    told = [data_summary.told(each.version) | {"new": each.is_new} for each in kept]
    write_atomically(record.folder / VERSIONS_FILE, json.dumps(told, indent=2) + "\n")
    data_summary.show(kept, store.all(source.name))


class _Keeper:
    """Keeps one stage after the other, each as made of the one before."""

    def __init__(self, record: Record, store: Versions) -> None:
        self.record = record
        self.store = store
        self.commit = git_commit(Path(__file__).parent)
        self.kept: list[Kept] = []

    def keep(self, source: Source, augmentation: Augment, *, copies: int, seed: int) -> list[Kept]:
        begin = source.raw() if source.version is None else self._begin(source, source.version)
        # Preprocessed before the raw data is kept: what cannot be read is no version.
        digits = source.preprocess(begin) if isinstance(begin, Raw) else begin
        settings = source.settings_now()
        if isinstance(begin, Raw):
            if source.version is None:
                self._put(begin, "raw", {})
            self._put(digits, "preprocessed", settings)
        drawn = augmented(digits, augmentation, copies=copies, seed=seed)
        if drawn.digest != digits.digest:  # else there is no augmentation
            chosen = self.record.parameters.items()
            steps = {key: value for key, value in chosen if key.startswith("augmentation.")}
            self._put(drawn, "augmented", {**settings, "copies": copies, "seed": seed, **steps})
        return self.kept

    def _begin(self, source: Source, wanted: str) -> Raw | Digits:
        version, content = source.stored(wanted)
        if version.stage == "augmented":
            raise DataError(
                f"data.version: {version} is augmented already; name what it is made of"
            )
        self.kept.append(Kept(version, is_new=False, seconds=0.0))
        return content

    def _put(self, content: Raw | Digits, stage: Stage, settings: dict[str, object]) -> None:
        begin = time.monotonic()
        made = Made.now(
            commit=self.commit,
            config_digest=self.record.config_digest,
            parent=self.kept[-1].version.digest if self.kept else None,
        )
        version, is_new = self.store.put(
            content, stage, made, settings=settings, config=self.record.config_file
        )
        self.kept.append(Kept(version, is_new, time.monotonic() - begin))


def _compare(record: Record, store: Versions, before: Version, after: Version) -> None:
    if before.stage != after.stage:
        raise DataError(
            f"compare: {before} is {before.stage} and {after} is {after.stage} data; compare two "
            f"of one stage"
        )
    found = changes(store.fetch(before), store.fetch(after))
    content = {
        "from": data_summary.told(before),
        "to": data_summary.told(after),
        **found.to_dict(MOST_LISTED),
    }
    write_atomically(record.folder / CHANGES_FILE, json.dumps(content, indent=2) + "\n")
    sheet = _draw(found, before, after, record.folder / CONTACT_SHEET)
    data_summary.show_changes(found, before, after, sheet)


def _draw(found: Changes, before: Version, after: Version, file: Path) -> Path:
    strips = [
        _strip("added", [(sample, str(sample.label)) for sample in found.added]),
        _strip("removed", [(sample, str(sample.label)) for sample in found.removed]),
        _strip(
            "relabelled",
            [(new, f"{old.label} → {new.label}") for old, new in found.relabelled],
        ),
        _strip(
            "moved",
            [(new, f"{old.part} →\n{new.part}") for old, new in found.moved],
        ),
    ]
    title = f"{after.name}, {after.stage}: {before} → {after}"
    return contact_sheet(strips, file, title=title)


def _strip(kind: str, samples: Sequence[tuple[Sample, str]]) -> Strip:
    shown = samples[:MOST_DRAWN]
    most = f", the first {len(shown)}" if len(shown) < len(samples) else ""
    return Strip(
        f"{len(samples):,} {kind}{most}",
        [sample.picture() for sample, _ in shown],
        [caption for _, caption in shown],
    )
