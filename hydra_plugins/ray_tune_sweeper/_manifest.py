"""What a sweep is: kept beside its results, so that it goes on as what it was or not at all."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.errors import CompactHydraException
from omegaconf import DictConfig, OmegaConf

PLACE = ".tune"  # in the sweep's folder: what is the sweeper's own
FILE = "sweep.json"
JOURNALS = "trials"
INTERRUPTED = "interrupted"  # file that says: what stops now will go on when the sweep is resumed
FATAL = "fatal"  # file with a fault that every trial would meet


class ResumeError(CompactHydraException):
    """The sweep in this folder cannot go on."""


def write_atomically(file: Path, content: str) -> None:
    """Put ``content`` at ``file`` whole or not at all, whatever happens meanwhile."""
    sibling = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with sibling.open("w", encoding="utf-8") as new:
            new.write(content)
            new.flush()
            os.fsync(new.fileno())
        sibling.replace(file)
    finally:
        sibling.unlink(missing_ok=True)


def identity(
    settings: Mapping[str, Any],
    spaces: Sequence[tuple[Mapping[str, str], Mapping[str, Any]]],
    configs: Sequence[DictConfig],
    *,
    free_keys: Sequence[str],
) -> dict[str, str]:
    """Return what must stay the same over resumes, flat: dotted key -> text.

    Args:
        settings: of the sweeper.
        spaces: for each cell its groups and dimensions.
        configs: for each cell the configuration of a job, without the swept values.
        free_keys: keys of these configurations that may change.
    """
    known = {f"hydra.sweeper.{key}": value for key, value in settings.items()}
    for (groups, space), config in zip(spaces, configs, strict=True):
        name = ",".join(f"{key}={value}" for key, value in groups.items())
        tree = OmegaConf.to_container(config, resolve=False)
        assert isinstance(tree, dict)
        mark = f"{name}: " if name else ""
        known |= {f"{mark}space.{key}": repr(each) for key, each in space.items()}
        known |= {
            f"{mark}{key}": value
            for key, value in _flat("", tree)
            if not any(key == free or key.startswith(f"{free}.") for free in ("hydra", *free_keys))
        }
    return {key: json.dumps(value, default=str) for key, value in known.items()}


def _flat(key: str, value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        parts = (_flat(f"{key}.{name}" if key else str(name), each) for name, each in value.items())
        return [entry for part in parts for entry in part]
    return [(key, value)]


def _assert_own(folder: Path, entry: Path) -> None:
    owner = entry.stat().st_uid
    if owner != os.getuid():
        raise ResumeError(f"{folder} belongs to another user (uid {owner}): it is not resumed")


@contextmanager
def driven(folder: Path) -> Iterator[None]:
    """Keep the sweep in ``folder`` for this driver.

    Raises:
        ResumeError: another process is at work in it, or the folder is another user's.
    """
    place = folder / PLACE
    place.mkdir(parents=True, exist_ok=True)
    _assert_own(folder, place)
    with (place / "driver.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ResumeError(f"the sweep in {folder} is still running") from None
        yield


def begin(folder: Path, known: Mapping[str, str]) -> bool:
    """Note what the sweep in ``folder`` is; return whether it had begun before.

    Raises:
        ResumeError: the folder is another user's, or holds a sweep that differs; names what.
    """
    place = folder / PLACE
    file = place / FILE
    if not file.exists():
        place.mkdir(parents=True, exist_ok=True)
        write_atomically(file, json.dumps(dict(known), indent=1) + "\n")
        return False
    _assert_own(folder, file)
    before = json.loads(file.read_text(encoding="utf-8"))
    changes = [
        f"{key}: {before.get(key, 'absent')} -> {known.get(key, 'absent')}"
        for key in sorted({*before, *known})
        if before.get(key) != known.get(key)
    ]
    if changes:
        listed = "\n  ".join(changes)
        raise ResumeError(f"the sweep in {folder} has changed, so it cannot go on:\n  {listed}")
    return True
