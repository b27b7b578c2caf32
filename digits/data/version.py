"""One data version as the store tells it: what it is, and each time that it was made."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from digits.data.archive import STAGES, About, Stage

if TYPE_CHECKING:
    from mlflow.entities import Run as RecordedRun

SHOWN = 12  # characters of a digest that are shown
FEWEST = 4  # that are enough to look for one
LATEST = ":latest"
NAMES = re.compile(rf"(?:{'|'.join(STAGES)}){LATEST}|[0-9a-f]{{{FEWEST},64}}")

VERSION_TAG = "digits.data_version"
STAGE_TAG = "digits.data_stage"
NAME_TAG = "digits.data_name"
ABOUT_TAG = "digits.data_about"
FILES_TAG = "digits.data_files"
MADE_TAG = "digits.data_made."


class Made(BaseModel):
    """One time that a version was made.

    Attributes:
        commit: of the code; ``-dirty`` appended for local changes.
        config_digest: sha256 (hex) of the canonical configuration.
        parent: digest of the version that it was made of; None of raw data.
        when: date and time, UTC.
    """

    model_config = ConfigDict(frozen=True)

    commit: str
    config_digest: str
    parent: str | None = None
    when: datetime

    @classmethod
    def now(cls, *, commit: str, config_digest: str, parent: str | None = None) -> Made:
        """Return one that happens now."""
        when = datetime.now(UTC)
        return cls(commit=commit, config_digest=config_digest, parent=parent, when=when)

    @property
    def tag(self) -> str:
        """The tag that it is kept in: made again from the same, only the time is new."""
        origin = f"{self.commit} {self.config_digest} {self.parent}"
        return f"{MADE_TAG}{hashlib.sha256(origin.encode()).hexdigest()[:16]}"


@dataclass(frozen=True)
class Version:
    """A stored data version; its text is the beginning of its digest.

    Attributes:
        digest: sha256 (hex) of the content.
        stage: raw, preprocessed or augmented.
        name: the source.
        description: one line on what it is.
        settings: arguments that it was made with.
        shapes: array -> shape.
        made: when and how it was made, the first time first.
        run_id: the run that keeps it.
        files: file -> sha256 (hex).
    """

    digest: str
    stage: Stage
    name: str
    description: str
    settings: Mapping[str, Any]
    shapes: Mapping[str, tuple[int, ...]]
    made: tuple[Made, ...]
    run_id: str
    files: Mapping[str, str]

    def __str__(self) -> str:
        return shown(self.digest)

    @property
    def samples(self) -> int:
        """How many labelled pictures it holds."""
        return sum(shape[0] for name, shape in self.shapes.items() if name.endswith("labels"))

    @property
    def parents(self) -> list[str]:
        """Digests of what it was made of, the first first."""
        return list(dict.fromkeys(made.parent for made in self.made if made.parent))


def recorded(run: RecordedRun) -> Version:
    """Return the version that a run keeps, as its tags tell it."""
    tags = run.data.tags
    about = About.model_validate_json(tags[ABOUT_TAG])
    made = [Made.model_validate_json(tags[tag]) for tag in tags if tag.startswith(MADE_TAG)]
    return Version(
        digest=about.digest,
        stage=about.stage,
        name=about.name,
        description=about.description,
        settings=about.settings,
        shapes={name: array.shape for name, array in about.arrays.items()},
        made=tuple(sorted(made, key=lambda each: each.when)),
        run_id=run.info.run_id,
        files=json.loads(tags[FILES_TAG]),
    )


def hold_name(wanted: str) -> None:
    """Hold what is to name a version against the ways to name one.

    Raises:
        ValueError: it is none of them.
    """
    if not NAMES.fullmatch(wanted):
        latest = ", ".join(f"{stage}{LATEST}" for stage in STAGES)
        raise ValueError(
            f"version must be a digest, its first {FEWEST} or more characters, or one of {latest}; "
            f"not {wanted}"
        )


def shown(digest: str) -> str:
    """Return the beginning of a digest that is enough to name it, typed as an override too.

    Hydra would read ``4510e7836612`` as a number: such a one is shown a little longer.
    """
    length = SHOWN
    while _is_number(digest[:length]):
        length += 1
    return digest[:length]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
