"""A data version as two files: its arrays, and what they are. No pickle is written or read."""

from __future__ import annotations

import json
import math
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from digits.contract.files import write_atomically
from digits.contract.manifest import sha256_of
from digits.data.raw import Raw
from digits.data.types import Digits, Split
from digits.errors import DataError

ARRAYS = "arrays.npz"
ABOUT = "version.json"
SCHEMA_VERSION = 1
MAX_BYTES = 4 * 2**30  # unpacked; what one machine can hold beside a training
LEVEL = 1  # of zlib: digits shrink to a quarter, and a tenth less takes three times as long
PARTS = ("train", "validation", "test")
UNLABELLED = "unlabelled_images"

Stage: TypeAlias = Literal["raw", "preprocessed", "augmented"]
STAGES: tuple[Stage, ...] = ("raw", "preprocessed", "augmented")


class Array(BaseModel):
    """Type and shape of one array; no other types are written or read."""

    model_config = ConfigDict(frozen=True)

    dtype: Literal["|u1", "<i8"]
    shape: tuple[int, ...]

    @property
    def bytes(self) -> int:
        """What it takes in memory."""
        return int(np.dtype(self.dtype).itemsize * math.prod(self.shape))


class About(BaseModel):
    """What the arrays are.

    Attributes:
        schema_version: grows when an older reader would misread the version.
        digest: sha256 (hex) of the content.
        stage: how far the data has come.
        name: the source.
        description: one line on what it is.
        settings: arguments of the source that made it of the raw data; of augmented data also
            those of the augmentation.
        arrays: name -> type and shape.
    """

    model_config = ConfigDict(frozen=True)

    schema_version: int
    digest: str
    stage: Stage
    name: str
    description: str
    settings: dict[str, Any]
    arrays: dict[str, Array]


def arrays_of(content: Raw | Digits) -> dict[str, NDArray[Any]]:
    """Return the arrays of a version's content by name."""
    if isinstance(content, Raw):
        return dict(content.arrays)
    arrays: dict[str, NDArray[Any]] = {}
    for part in PARTS:
        split: Split = getattr(content, part)
        arrays |= {f"{part}_images": split.images, f"{part}_labels": split.labels}
    if len(content.unlabelled):
        arrays[UNLABELLED] = content.unlabelled
    return arrays


def write(folder: Path, content: Raw | Digits, stage: Stage, settings: Mapping[str, Any]) -> About:
    """Write the files of a version to ``folder``.

    Raises:
        DataError: more than ``MAX_BYTES``.
    """
    arrays = arrays_of(content)
    about = About(
        schema_version=SCHEMA_VERSION,
        digest=content.digest,
        stage=stage,
        name=content.name,
        description=content.description,
        settings=dict(settings),
        arrays={
            name: Array(dtype=cast("Any", array.dtype.str), shape=array.shape)
            for name, array in arrays.items()
        },
    )
    _hold_size(about, f"the {stage} data of {content.name}")
    with zipfile.ZipFile(folder / ARRAYS, "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL) as file:
        for name, array in arrays.items():
            with file.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(
                    cast("BinaryIO", member), np.ascontiguousarray(array), allow_pickle=False
                )
    text = json.dumps(about.model_dump(mode="json"), indent=2, sort_keys=True)
    write_atomically(folder / ABOUT, text + "\n")
    return about


def digests(folder: Path) -> dict[str, str]:
    """Return the sha256 (hex) of each file of the version in ``folder``."""
    return {name: sha256_of(folder / name) for name in (ARRAYS, ABOUT)}


def damage(folder: Path, files: Mapping[str, str]) -> str | None:
    """Say which of ``files`` (name -> sha256) is missing or changed, or return None."""
    for name in (ARRAYS, ABOUT):
        file = folder / name
        if not file.is_file():
            return f"{name} is missing"
        if sha256_of(file) != files.get(name):
            return f"{name} was changed: its sha256 is not the one recorded"
    return None


def read(folder: Path) -> tuple[About, Raw | Digits]:
    """Read the files of a version; nothing in them is believed before it is checked.

    Raises:
        DataError: damaged, of a newer schema, too large, of another shape than digits have, or
            its content is not what its digest says.
    """
    about = _about(folder / ABOUT)
    _hold_size(about, str(folder / ARRAYS))
    arrays = _arrays(folder / ARRAYS, about)
    content = _content(folder, about, arrays)
    if content.digest != about.digest:
        raise DataError(
            f"{folder / ARRAYS} was changed: its content has sha256 {content.digest}, not "
            f"{about.digest}"
        )
    return about, content


def _about(file: Path) -> About:
    try:
        fields = json.loads(file.read_bytes())
        schema = fields["schema_version"] if isinstance(fields, dict) else None
        if isinstance(schema, int) and schema > SCHEMA_VERSION:
            raise DataError(
                f"{file} has schema version {schema}; this installation reads up to "
                f"{SCHEMA_VERSION}. Update it"
            )
        return About.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise DataError(f"{file} is damaged: {place}: {first['msg']}") from error
    except (KeyError, ValueError) as error:
        raise DataError(f"{file} is damaged: {error}") from error


def _hold_size(about: About, name: str) -> None:
    size = sum(array.bytes for array in about.arrays.values())
    if size > MAX_BYTES:
        raise DataError(
            f"{name} takes {size:,} bytes, more than the {MAX_BYTES:,} of a data version"
        )


def _arrays(file: Path, about: About) -> dict[str, NDArray[Any]]:
    """Unpack exactly what ``about`` announces: a zip file may hold far more than it weighs."""
    try:
        with zipfile.ZipFile(file) as archive:
            held = {entry.filename: entry for entry in archive.infolist()}
            if set(held) != {f"{name}.npy" for name in about.arrays}:
                raise DataError(f"{file} does not hold the arrays that {ABOUT} names")
            return {
                name: _array(archive, held[f"{name}.npy"], array, file)
                for name, array in about.arrays.items()
            }
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError) as error:
        raise DataError(f"{file} is damaged: {error}") from error


def _array(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, announced: Array, file: Path
) -> NDArray[Any]:
    with archive.open(entry) as member:
        stream = cast("BinaryIO", member)
        if np.lib.format.read_magic(stream) != (1, 0):
            raise DataError(f"{file} is damaged: {entry.filename} has an unknown header")
        shape, by_columns, dtype = np.lib.format.read_array_header_1_0(stream)
        if (shape, dtype.str, by_columns) != (announced.shape, announced.dtype, False):
            raise DataError(
                f"{file} is damaged: {entry.filename} holds {dtype} {list(shape)}, and {ABOUT} "
                f"says {announced.dtype} {list(announced.shape)}"
            )
        content = stream.read(announced.bytes + 1)
    if len(content) != announced.bytes:
        raise DataError(f"{file} is damaged: {entry.filename} has not the length of its shape")
    return np.frombuffer(bytearray(content), dtype).reshape(shape)


def _content(folder: Path, about: About, arrays: Mapping[str, NDArray[Any]]) -> Raw | Digits:
    if about.stage == "raw":
        return Raw(about.name, about.description, arrays)
    further = {name: array for name, array in arrays.items() if name == UNLABELLED}
    needed = {f"{part}_{kind}" for part in PARTS for kind in ("images", "labels")}
    if set(arrays) - set(further) != needed:
        raise DataError(f"{folder / ARRAYS} has not the three splits of {about.stage} data")
    try:
        train, validation, test = (
            Split(arrays[f"{part}_images"], arrays[f"{part}_labels"]) for part in PARTS
        )
        data = Digits(about.name, about.description, train, validation, test, *further.values())
    except DataError as error:
        raise DataError(f"data version {about.digest}: {error}") from error
    return data
