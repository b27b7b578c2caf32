"""The pointer: which bundles the service answers from, written by the watcher, read by workers.

A small JSON file, replaced as a whole. Workers look at it twice a second, load what is new in it
and hold it against the digest that is written here; they know nothing of the registry.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from digits.contract.files import write_atomically
from digits.errors import RegistryError


class _Block(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Pointed(_Block):
    """One bundle to answer from.

    Attributes:
        name: of the registered model.
        number: of its version; None for a bundle that is not registered.
        folder: the bundle.
        onnx_sha256: digest (hex) of its network, as it is registered.
        manifest_sha256: the same of its manifest, and so of all its files; None: not looked at.
        alias: by which it was asked for; None where that was not an alias.
    """

    name: str
    number: int | None
    folder: Path
    onnx_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    manifest_sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    alias: str | None = None

    @property
    def version(self) -> str:
        """What answers name it: ``digits/3``, or the beginning of its digest."""
        return self.onnx_sha256[:12] if self.number is None else f"{self.name}/{self.number}"


class Refused(_Block):
    """A version that the watcher did not hand over.

    Attributes:
        version: its name, as answers would have it.
        reason: what is wrong with it.
        time: when that was found.
    """

    version: str
    reason: str
    time: datetime


class Pointer(_Block):
    """What to answer from.

    Attributes:
        champion: answers.
        challenger: is compared with it; None where there is none.
        written: when.
        refused: the last version that was not handed over; None where there was none.
    """

    champion: Pointed
    challenger: Pointed | None = None
    written: datetime = Field(default_factory=lambda: datetime.now(UTC))
    refused: Refused | None = None

    def write(self, file: Path) -> None:
        """Replace ``file``; who reads it sees the old pointer or this one."""
        write_atomically(file, self.model_dump_json(indent=2) + "\n")

    @classmethod
    def read(cls, file: Path) -> Pointer:
        """Read what :meth:`write` has written.

        Raises:
            RegistryError: there is no such file, or it is damaged.
        """
        try:
            return cls.model_validate_json(file.read_bytes())
        except OSError as error:
            raise RegistryError(f"{file}: {error.strerror or error}: no model to serve") from error
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"]) or "JSON"
            raise RegistryError(f"{file} is damaged: {place}: {first['msg']}") from error
