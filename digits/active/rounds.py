"""Rounds of a simulation, on disk as they are done: what a killed one goes on from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from digits.contract.files import write_atomically
from digits.errors import DataError


class Round(BaseModel):
    """One training, and what was chosen to be labelled next.

    Attributes:
        labels: how many samples were labelled, those of the beginning included.
        accuracy: on the test split, 0..1.
        seconds: wall time of training, test and choice.
        cpu_seconds: the same of the processor, which other processes do not lengthen.
        chosen: places in the pool of what is labelled next; empty where that was the last round.
    """

    model_config = ConfigDict(frozen=True)

    labels: int
    accuracy: float
    seconds: float
    cpu_seconds: float
    chosen: tuple[int, ...] = ()


class Curve(BaseModel):
    """The rounds of one method with one seed.

    Attributes:
        acquisition: name of the method.
        seed: of weights, order, augmentation and choice.
        commit: of the code that began it.
        initial: places in the pool of what was labelled at the beginning.
        rounds: in their order.
    """

    model_config = ConfigDict(frozen=True)

    acquisition: str
    seed: int
    commit: str
    initial: tuple[int, ...]
    rounds: tuple[Round, ...] = ()

    @property
    def labelled(self) -> NDArray[np.intp]:
        """Places in the pool of everything that is labelled by now, int ``[N]``, in its order."""
        chosen = [index for each in self.rounds for index in each.chosen]
        return np.array([*self.initial, *chosen], np.intp)

    @property
    def accuracies(self) -> dict[int, float]:
        """Labels -> accuracy."""
        return {each.labels: each.accuracy for each in self.rounds}

    def labels_to(self, accuracy: float) -> float:
        """Return the labels of the first round of at least this accuracy; infinite without one."""
        reached = (each.labels for each in self.rounds if each.accuracy >= accuracy)
        return next(reached, np.inf)

    def until(self, labels: int) -> Curve:
        """Return the curve up to so many labels."""
        kept = tuple(each for each in self.rounds if each.labels <= labels)
        return self.model_copy(update={"rounds": kept})

    def then(self, following: Round) -> Curve:
        """Return the curve with one more round."""
        return self.model_copy(update={"rounds": (*self.rounds, following)})


class Kept:
    """The curves of one protocol, a file for each method and seed.

    Args:
        folder: theirs alone.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def file(self, method: str, seed: int) -> Path:
        """Return where the curve of this method and seed stands, or will."""
        return self.folder / f"{method}-{seed}.json"

    def read(self, method: str, seed: int) -> Curve | None:
        """Return a curve, or None where there is none yet.

        Raises:
            DataError: its file is damaged.
        """
        file = self.file(method, seed)
        return _read(file) if file.is_file() else None

    def write(self, method: str, curve: Curve) -> None:
        """Keep the curve in place of the shorter one; when this returns it is on the disk."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomically(self.file(method, curve.seed), curve.model_dump_json(indent=1) + "\n")

    def all(self) -> Mapping[str, Sequence[Curve]]:
        """Return every curve that has a round: method -> its curves by rising seed."""
        found: dict[str, list[Curve]] = {}
        for file in sorted(self.folder.glob("*.json")):
            if (curve := _read(file)).rounds:
                found.setdefault(file.stem.rpartition("-")[0], []).append(curve)
        return {
            method: sorted(curves, key=lambda curve: curve.seed) for method, curves in found.items()
        }


def _read(file: Path) -> Curve:
    try:
        return Curve.model_validate_json(file.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        raise DataError(f"{file} is damaged ({first['msg']}): remove it to begin anew") from error
