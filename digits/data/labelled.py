"""Which images have labels, as `task=active` leaves it: what `data.labelled` names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from digits.contract.files import write_atomically
from digits.errors import DataError


class Labelled(BaseModel):
    """Labels in the order in which they were given.

    Attributes:
        pool: digest of the data whose training split they are of.
        places: in that split.
    """

    model_config = ConfigDict(frozen=True)

    pool: str
    places: tuple[int, ...]


def write(file: Path, *, pool: str, places: Sequence[int]) -> None:
    """Write which places of a pool have labels, in the order in which they were given."""
    write_atomically(file, Labelled(pool=pool, places=tuple(places)).model_dump_json() + "\n")


def read(file: Path, *, pool: str) -> NDArray[np.intp]:
    """Return the places, int ``[N]``, in the order in which the labels were given.

    Raises:
        DataError: there is no such file, it is damaged, or it is of another pool.
    """
    try:
        found = Labelled.model_validate_json(file.read_bytes())
    except OSError as error:
        raise DataError(f"data.labelled: {file}: {error.strerror}") from error
    except ValidationError as error:
        raise DataError(f"data.labelled: {file} is not what task=active writes") from error
    if found.pool != pool:
        raise DataError(
            f"data.labelled: {file} is of another pool: give the data.validation_size and "
            f"data.split_seed that it was made with"
        )
    return np.array(found.places, np.intp)
