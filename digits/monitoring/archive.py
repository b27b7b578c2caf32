"""A monitor in one file: the reference it was made from, and what clean windows come to."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits.contract.files import write_atomically
from digits.errors import RegistryError
from digits.monitoring.accuracy import Judged
from digits.monitoring.calibration import Null
from digits.monitoring.monitor import Monitor
from digits.monitoring.reference import Reference
from digits.monitoring.signals import Signals

SCHEMA_VERSION = 1
FACTS = "facts"  # name of the array that holds the JSON

Arrays = dict[str, NDArray[Any]]


def write(file: Path, reference: Reference, monitor: Monitor, **facts: str) -> None:
    """Write both to ``file`` atomically, with facts about where they come from."""
    arrays: Arrays = {}
    sets = {"clean": reference.clean} | {
        f"changed/{number}": judged for number, judged in enumerate(reference.perturbed)
    }
    for name, judged in sets.items():
        arrays |= {f"{name}/{key}": values for key, values in _of(judged)}
    for null in monitor.nulls:
        arrays[f"null/{null.count}/least"] = null.least
        for statistic, values in null.statistics.items():
            arrays[f"null/{null.count}/statistic/{statistic}"] = values.astype(np.float32)
    head = {"schema_version": SCHEMA_VERSION, "perturbed": len(reference.perturbed), **facts}
    arrays[FACTS] = np.frombuffer(json.dumps(head, sort_keys=True).encode(), np.uint8)
    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=False, **arrays)
    write_atomically(file, content.getvalue())


def read(file: Path) -> tuple[Reference, Monitor, Mapping[str, Any]]:
    """Read what :func:`write` has written; nothing is drawn again.

    Raises:
        RegistryError: the file is damaged, or of a newer schema.
    """
    try:
        with np.load(file, allow_pickle=False) as stored:
            facts = json.loads(stored[FACTS].tobytes())
            if facts["schema_version"] != SCHEMA_VERSION:
                raise RegistryError(
                    f"{file} has schema version {facts['schema_version']}, and this installation "
                    f"uses {SCHEMA_VERSION}: calibrate again with task=drift action=calibrate"
                )
            arrays: Arrays = {name: stored[name] for name in stored.files}
        changed = range(facts["perturbed"])
        reference = Reference(
            _judged(arrays, "clean"), tuple(_judged(arrays, f"changed/{one}") for one in changed)
        )
        monitor = Monitor.of(reference.clean, reference.perturbed, _nulls(arrays))
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise RegistryError(
            f"{file} is damaged ({error}): calibrate again with task=drift action=calibrate"
        ) from error
    return reference, monitor, facts


def _of(judged: Judged) -> Iterator[tuple[str, NDArray[Any]]]:
    signals = judged.signals
    yield "right", judged.right
    yield "probabilities", signals.probabilities
    for name, values in signals.scores.items():
        yield f"score/{name}", values
    if signals.embedding is not None:
        yield "embedding", signals.embedding
    if signals.shape is not None:
        yield "shape", signals.shape


def _judged(arrays: Arrays, name: str) -> Judged:
    signals = Signals(
        arrays[f"{name}/probabilities"],
        dict(_below(arrays, f"{name}/score/")),
        arrays.get(f"{name}/embedding"),
        arrays.get(f"{name}/shape"),
    )
    return Judged(signals, arrays[f"{name}/right"])


def _nulls(arrays: Arrays) -> list[Null]:
    counts = sorted(int(key.split("/")[1]) for key in arrays if key.endswith("/least"))
    return [
        Null(
            count,
            {
                statistic: values.astype(np.float64)
                for statistic, values in _below(arrays, f"null/{count}/statistic/")
            },
            arrays[f"null/{count}/least"],
        )
        for count in counts
    ]


def _below(arrays: Arrays, prefix: str) -> Iterator[tuple[str, NDArray[Any]]]:
    for key, values in arrays.items():
        if key.startswith(prefix):
            yield key.removeprefix(prefix), values
