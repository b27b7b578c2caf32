"""A multirun as a whole: checked before its first job, tracked as one, shown at the end.

Hydra imports this module on every start, and its workers import it again: nothing heavy here.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig

from digits.config import resolvers
from digits.errors import DigitsError
from digits.tasks.signals import INTERRUPTED, exit_code, heed_sigterm, status_of

if TYPE_CHECKING:
    from digits.tasks.sweeps.jobs import Overrides
    from digits.tasks.sweeps.sweep import Sweep

# conf/hydra/launcher/ray.yaml has its plugin's own name on purpose: its values are the defaults.
warnings.filterwarnings("ignore", message=r"\n'hydra/launcher/ray' is validated")

_open: list[Sweep] = []  # the sweep of this process, while it runs


class SweepRecord(Callback):
    """A Hydra callback: begins the sweep's record, and notes how each job went."""

    def __init__(self) -> None:
        self._began = 0.0

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Unpickled in a worker, which reads its configuration next.
        self.__dict__.update(state)
        resolvers.register()

    def on_multirun_start(self, config: DictConfig, **kwargs: object) -> None:
        """Check every job of a list, then open the sweep's tracked run."""
        from digits.tasks.sweeps.jobs import planned

        with _told():
            jobs = planned(config)
            if config.hydra.sweeper.get("begin"):
                return  # a sweeper that says itself when it begins
            if not config.get("check_only"):
                from digits.tasks import ray_launcher

                ray_launcher.start(config)
            begin(config, jobs)

    def on_job_start(self, config: DictConfig, **kwargs: object) -> None:
        """Note that the job of a multirun has begun."""
        self._began = time.monotonic()
        self._note(config, status="interrupted")  # which is true until its end is noted

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: object) -> None:
        """Note what the job returned, or why it failed."""
        if job_return.status == JobStatus.COMPLETED:
            self._note(config, status="finished", value=job_return.return_value)
        else:
            error = job_return._return_value  # the property would raise it, and print
            told = str(error) if isinstance(error.__cause__, DigitsError) else repr(error)
            self._note(config, status="failed", error=told)

    def _note(self, config: DictConfig, **facts: Any) -> None:
        if config.hydra.mode == RunMode.MULTIRUN:
            from digits.tasks.sweeps.jobs import Note

            seconds = time.monotonic() - self._began
            Note.of(config, seconds=seconds, **facts).write(Path(config.hydra.runtime.output_dir))


def begin(config: DictConfig, jobs: Sequence[Overrides] = ()) -> None:
    """Open the sweep's tracked run, when everything has been checked and nothing has started.

    Args:
        config: the multirun's own composed configuration, ``hydra`` included.
        jobs: the overrides of each job of a plain list.

    Raises:
        SystemExit: the store does not answer, or cannot be written.
    """
    if config.get("check_only"):
        return
    with _told():
        from digits.tasks.sweeps.sweep import Sweep

        heed_sigterm()
        _open.append(Sweep.begin(config, jobs))


@contextmanager
def _told() -> Iterator[None]:
    """Leave with the message of an error: Hydra would make a warning or a stack trace of it."""
    try:
        yield
    except (DigitsError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(getattr(error, "exit_code", 1)) from error


@contextmanager
def ended() -> Iterator[None]:
    """End the sweep that begins inside, if one does, with a status that is true however it ends.

    Hydra calls no callback when a multirun fails or is stopped.
    """
    try:
        yield
    except KeyboardInterrupt:
        _end("KILLED")
        raise SystemExit(INTERRUPTED) from None
    except SystemExit as stop:
        stop.code = exit_code(stop.code)  # type: ignore[assignment]
        _end(status_of(stop.code))
        raise
    except BaseException:
        _end("FAILED")
        raise
    else:
        _end("FINISHED")


def _end(status: str) -> None:
    while _open:
        try:
            _open.pop().end(status)
        except (DigitsError, OSError) as error:
            sys.stderr.write(f"{error}\n")
            if status == "FINISHED":
                raise SystemExit(getattr(error, "exit_code", 1)) from error
