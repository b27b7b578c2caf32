"""The ledger: what a deployment has made anywhere, and which version is out.

A thing is written down before it is made, under the name that it will have: whatever is cut short,
``destroy`` finds it. A small JSON file, replaced as a whole and flushed to the disk.
"""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from digits.contract.files import write_atomically
from digits.contract.pointer import Pointed
from digits.errors import DeploymentError

LEDGER = "ledger.json"


class _Block(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Resource(_Block):
    """One thing that was made, or was about to be.

    Attributes:
        kind: for example ``iam-role``.
        name: under which it can be found and removed.
        facts: what else it takes to do so.
    """

    kind: str
    name: str
    facts: dict[str, str] = {}


class Release(_Block):
    """A version that was put out.

    Attributes:
        model: the version, with its digests.
        facts: what the target needs to go back to it, for example the digest of an image.
        time: when.
    """

    model: Pointed
    facts: dict[str, str] = {}
    time: datetime = Field(default_factory=lambda: datetime.now(UTC))


class _Content(_Block):
    resources: tuple[Resource, ...] = ()
    current: Release | None = None
    previous: Release | None = None


class Ledger:
    """What is kept of one deployment in ``folder``.

    Raises:
        DeploymentError: the file there is none of ours.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / LEDGER
        try:
            self._content = _Content.model_validate_json(self._file.read_bytes())
        except FileNotFoundError:
            self._content = _Content()
        except (OSError, ValidationError) as error:
            raise DeploymentError(f"{self._file} is no ledger of a deployment: {error}") from error

    def __bool__(self) -> bool:
        """Tell whether anything is written down."""
        return self._content != _Content()

    @property
    def resources(self) -> tuple[Resource, ...]:
        """What was made, the first first."""
        return self._content.resources

    @property
    def current(self) -> Release | None:
        """The version that is out."""
        return self._content.current

    @property
    def previous(self) -> Release | None:
        """The version that was out before."""
        return self._content.previous

    def find(self, kind: str, name: str) -> Resource | None:
        """Return what is written down of one thing."""
        return next(
            (each for each in self.resources if (each.kind, each.name) == (kind, name)), None
        )

    def making(self, kind: str, name: str, **facts: str) -> Resource:
        """Write down that a thing is about to be made; newer facts of the same thing count."""
        resource = Resource(kind=kind, name=name, facts=facts)
        if (known := self.find(kind, name)) is None:
            self._write(resources=(*self.resources, resource))
        elif known != resource:
            changed = (resource if each == known else each for each in self.resources)
            self._write(resources=tuple(changed))
        return resource

    def gone(self, resource: Resource) -> None:
        """Write down that a thing is removed."""
        self._write(resources=tuple(each for each in self.resources if each != resource))

    def released(self, release: Release) -> None:
        """Write down which version is out now; the same by another alias is no other version."""
        known = self.current
        if known is None or _identity(known) != _identity(release):
            self._write(current=release, previous=known)
        elif known.model != release.model:
            self._write(current=release)

    def rolled_back(self) -> None:
        """Let the version that is out and the one before change places."""
        self._write(current=self.previous, previous=self.current)

    def forget(self) -> None:
        """Remove the whole folder: nothing is left of the deployment."""
        shutil.rmtree(self._file.parent, ignore_errors=True)
        self._content = _Content()

    def _write(self, **changes: object) -> None:
        self._content = self._content.model_copy(update=changes)
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(self._file, self._content.model_dump_json(indent=2) + "\n")


def _identity(release: Release) -> tuple[Pointed, dict[str, str]]:
    return release.model.model_copy(update={"alias": None}), release.facts
