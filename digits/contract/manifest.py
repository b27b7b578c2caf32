"""The manifest of a model bundle: what training and serving agree on, as data.

A bundle is a folder: ``model.onnx``, ``weights.safetensors``, ``config.yaml`` (what it was trained
with) and ``manifest.json``, beside MLflow's own description files. The manifest names every file
that belongs to the model with its sha256. Parts that are optional are absent from older bundles; a
reader says what is lacking and goes on.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from digits.contract.files import write_atomically
from digits.contract.preprocessing import Preprocessing
from digits.errors import RegistryError

SCHEMA_VERSION = 1
MANIFEST = "manifest.json"
ONNX = "model.onnx"
WEIGHTS = "weights.safetensors"
CONFIG = "config.yaml"


class _Schema(BaseModel):
    schema_version: int


class Manifest(BaseModel):
    """What a bundle says of itself; fields with a default are optional parts.

    Attributes:
        schema_version: grows when a reader of the previous version would misread the bundle.
        labels: names of the classes, in the order of the logits.
        input: name, dtype and shape of the graph's input (-1: any batch).
        output: the same of its output.
        preprocessing: fields of :class:`Preprocessing`, from an image of any size to the input.
        files: name -> sha256 (hex) of each file that belongs to the model.
        parameters: number of trained weights.
        data_name, data_digest: what it learned from.
        run_id: the tracked run that made it.
        metrics: on the held-out split, in 0..1 where a share.
        temperature: logits are divided by it before the softmax; absent: not calibrated.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_version: int
    created: datetime
    labels: list[str]
    input: dict[str, Any]
    output: dict[str, Any]
    preprocessing: dict[str, Any]
    files: dict[str, str]
    parameters: int
    data_name: str
    data_digest: str
    run_id: str
    metrics: dict[str, float] = {}
    temperature: float | None = None

    def preprocess(self) -> Preprocessing:
        """Return the preprocessing that this model was trained behind."""
        return Preprocessing.from_dict(self.preprocessing)

    def lacking(self) -> list[str]:
        """Return the names of the optional parts that this bundle does not have."""
        return [
            name
            for name, field in type(self).model_fields.items()
            if not field.is_required() and getattr(self, name) == field.default
        ]

    def write(self, folder: Path) -> None:
        """Write ``manifest.json`` atomically; the last file of a bundle to appear."""
        write_atomically(folder / MANIFEST, self.model_dump_json(indent=2) + "\n")

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read the manifest of the bundle at ``folder``.

        Raises:
            RegistryError: there is none, it is damaged, or of a newer schema.
        """
        file = folder / MANIFEST
        try:
            content = file.read_bytes()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise RegistryError(f"{folder} is not a model bundle: it has no {MANIFEST}") from error
        try:
            # The version first: what else a newer one holds may not read at all.
            schema = _Schema.model_validate_json(content).schema_version
            if schema > SCHEMA_VERSION:
                raise RegistryError(
                    f"{file} has schema version {schema}; this installation reads up to "
                    f"{SCHEMA_VERSION}. Update it."
                )
            return cls.model_validate_json(content)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"]) or "JSON"
            raise RegistryError(f"{file} is damaged: {place}: {first['msg']}") from error


def sha256_of(file: Path) -> str:
    """Return the sha256 (hex) of a file's content."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def verify(folder: Path) -> Manifest:
    """Read the bundle's manifest and check every file it names against its digest.

    Raises:
        RegistryError: a file is missing or its content is not what the manifest says.
    """
    manifest = Manifest.read(folder)
    for name, digest in manifest.files.items():
        file = folder / name
        if Path(name).name != name or not file.is_file():
            raise RegistryError(f"{folder}: {name} is missing from the bundle")
        if sha256_of(file) != digest:
            raise RegistryError(f"{file} was changed: its sha256 is not the manifest's")
    return manifest
