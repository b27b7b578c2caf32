"""What a loop has done so far: written after every step, so that a killed one goes on."""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from filelock import FileLock, Timeout

from digits.contract.files import write_atomically
from digits.errors import LoopError
from digits.tracking.record import Record

STATE, LOCK = "loop.json", ".lock"
FORM = 1  # of that file
LOCKS = Path(tempfile.gettempdir())
ASIDE = frozenset({"fresh", "keep_service"})  # one may go on with others of these


@dataclass(frozen=True)
class Step:
    """One step that is done.

    Attributes:
        name: of the step.
        started, ended: in seconds since 1970 (UTC).
        facts: what came of it, plain values.
    """

    name: str
    started: float
    ended: float
    facts: Mapping[str, Any]


@dataclass
class State:
    """One turn of a loop.

    Attributes:
        folder: where it is kept.
        config_digest: of the configuration that it was begun with.
        run_id: of the tracked run; None before there is one.
        began: in seconds since 1970 (UTC).
        steps: those that are done, in their order.
        finished: whether the turn came to its end.
    """

    folder: Path
    config_digest: str
    began: float
    run_id: str | None = None
    finished: bool = False
    steps: list[Step] = field(default_factory=list)

    @classmethod
    def of(cls, folder: Path, config_digest: str, *, fresh: bool) -> Self:
        """Return the turn that was left in ``folder``; a ``fresh`` one where there is none.

        Raises:
            LoopError: it was begun with another configuration, or cannot be read.
        """
        file = folder / STATE
        if fresh or not file.exists():
            return cls(folder, config_digest, time.time())
        try:
            facts = json.loads(file.read_text(encoding="utf-8"))
            if facts.pop("form") != FORM:
                raise ValueError("of another version of this program")
            steps = [Step(**each) for each in facts.pop("steps")]
            found = cls(folder, steps=steps, **facts)
        except (ValueError, TypeError, KeyError) as error:
            raise LoopError(f"{file} cannot be read: {error}. Another: fresh=true") from error
        if found.finished:
            return cls(folder, config_digest, time.time())
        if found.config_digest != config_digest:
            raise LoopError(
                f"{folder} holds a loop that was stopped after {found.last()} and had another "
                f"configuration: type its command again to finish it, or give it up with "
                f"fresh=true"
            )
        return found

    @property
    def steps_folder(self) -> Path:
        """What the steps of this turn leave: apart from those before it, which nothing resumes."""
        began = datetime.fromtimestamp(self.began, UTC)
        return self.folder / "steps" / f"{began:%Y-%m-%d_%H-%M-%S}"

    def last(self) -> str:
        """Return the name of the last step that is done."""
        return self.steps[-1].name if self.steps else "its start"

    def facts(self, name: str) -> Mapping[str, Any]:
        """Return what came of the last step of that name; empty where it is not done."""
        found: list[Mapping[str, Any]] = [step.facts for step in self.steps if step.name == name]
        return found[-1] if found else {}

    def has(self, name: str) -> bool:
        """Tell whether a step is done."""
        return any(step.name == name for step in self.steps)

    def add(self, step: Step) -> None:
        """Note a step that is done."""
        self.steps.append(step)
        self.write()

    def write(self) -> None:
        """Keep it all."""
        facts = asdict(self)
        del facts["folder"]
        text = json.dumps({"form": FORM, **facts}, indent=2, allow_nan=False)
        write_atomically(self.folder / STATE, text + "\n")


def digest_of(record: Record) -> str:
    """Return the digest of what decides how a turn is played."""
    decides = {
        key: value
        for key, value in record.parameters.items()
        if key.removeprefix("task.") not in ASIDE  # the task repeats them
    }
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()


@contextmanager
def claimed(folder: Path, traffic_url: str) -> Iterator[None]:
    """Keep a loop's folder and its traffic store for this process.

    Loops on one machine see each other, whichever folder each of them has.

    Raises:
        LoopError: another loop is at work there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    kind, _, place = traffic_url.partition(":///")
    if kind == "sqlite":  # however its path is written
        traffic_url = str(Path(place).expanduser().resolve())
    store = hashlib.sha256(traffic_url.encode()).hexdigest()[:16]
    places = {
        f"folder: another loop is at work in {folder}": folder / LOCK,
        "traffic.url: another loop is at work on this store": LOCKS / f"digits-loop-{store}.lock",
    }
    with ExitStack() as stack:
        for message, file in places.items():
            try:
                stack.enter_context(FileLock(file, timeout=0))
            except Timeout:
                raise LoopError(message) from None
        yield
