"""The manifest of a model bundle: what training and serving agree on, as data.

A bundle is a folder: ``model.onnx``, ``weights.safetensors``, ``config.yaml`` (what it was trained
with) and ``manifest.json``, beside MLflow's own description files. The manifest names every file
that belongs to the model with its sha256. Parts that are optional are absent from older bundles; a
reader says what is lacking and goes on:

- ``answer.onnx``, ``pixels`` uint8 ``[N, 28, 28]`` -> ``probabilities`` float32 ``[N, 10]``,
  calibrated, and ``novelty`` float32 ``[N]``, higher for what is no digit (:class:`Abstention`);
- ``gradient.onnx``, ``pixels`` float32 ``[N, 28, 28]`` in 0..255 and ``target`` int64 ``[N]`` ->
  ``gradient`` float32 ``[N, 28, 28]`` of the target's logit per grey level, ``logits`` float32
  ``[N, 10]``, and ``embedding`` float32 ``[N, E]``, close for images that are alike to the model;
- ``neighbours.npz``, training digits: ``images`` uint8 ``[M, 28, 28]``, ``labels`` int64 ``[M]``
  and their ``embeddings`` float32 ``[M, E]``.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Base64Bytes, BaseModel, ConfigDict, ValidationError

from digits.contract.files import write_atomically
from digits.contract.preprocessing import Preprocessing
from digits.errors import RegistryError

SCHEMA_VERSION = 1
MANIFEST = "manifest.json"
ONNX = "model.onnx"
WEIGHTS = "weights.safetensors"
CONFIG = "config.yaml"
ANSWER = "answer.onnx"
GRADIENT = "gradient.onnx"
NEIGHBOURS = "neighbours.npz"
OPTIONAL_FILES = (ANSWER, GRADIENT, NEIGHBOURS)


class _Schema(BaseModel):
    schema_version: int


class Abstention(BaseModel):
    """When the model says that an image is no digit at all.

    Attributes:
        threshold: an image of a larger ``novelty`` is none.
        refused: share of the held-out digits that it takes for none, in 0..1.
        caught: share of drawn pictures of no digit, not learned from, that it takes for none.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    threshold: float
    refused: float
    caught: float


class DryRun(BaseModel):
    """A digit that the model answers rightly: whoever loads the bundle can see that it works.

    Attributes:
        pixels: uint8 ``[28, 28]`` row by row, 784 bytes in base64.
        label: the right answer.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    pixels: Base64Bytes
    label: int

    @classmethod
    def of(cls, image: NDArray[np.uint8], label: int) -> Self:
        """Keep an image uint8 ``[28, 28]`` and its label."""
        return cls(pixels=base64.b64encode(image.tobytes()), label=label)

    @property
    def image(self) -> NDArray[np.uint8]:
        """The digit as uint8 ``[28, 28]``."""
        return np.frombuffer(self.pixels, np.uint8).reshape(28, 28)


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
        abstention: when the model gives no answer; absent: it always gives one.
        dry_run: a digit with its answer; absent: none was answered rightly.
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
    abstention: Abstention | None = None
    dry_run: DryRun | None = None

    def preprocess(self) -> Preprocessing:
        """Return the preprocessing that this model was trained behind."""
        return Preprocessing.from_dict(self.preprocessing)

    def lacking(self) -> list[str]:
        """Return the names of the optional parts and files that this bundle does not have."""
        fields = [
            name
            for name, field in type(self).model_fields.items()
            if not field.is_required() and getattr(self, name) == field.default
        ]
        return fields + [name for name in OPTIONAL_FILES if name not in self.files]

    @property
    def sha256(self) -> str:
        """Digest (hex) of what :meth:`write` writes: by the files' digests, of the whole bundle."""
        return hashlib.sha256(self._text().encode()).hexdigest()

    def write(self, folder: Path) -> None:
        """Write ``manifest.json`` atomically; the last file of a bundle to appear."""
        write_atomically(folder / MANIFEST, self._text())

    def _text(self) -> str:
        return self.model_dump_json(indent=2) + "\n"

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
