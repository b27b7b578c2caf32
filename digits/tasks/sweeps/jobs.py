"""The jobs of a multirun: planned and checked before the first starts, noted as they run."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from digits.contract.files import write_atomically
from digits.errors import ConfigError, DigitsError
from digits.tasks.entry import checked

JOB_FILE = "job.json"
BASIC = f"{BasicSweeper.__module__}.{BasicSweeper.__qualname__}"
MOST_SHOWN = 3  # faulty jobs
Overrides = Sequence[str]


@dataclass(frozen=True)
class Note:
    """How one job of a multirun went; stands in its folder as ``job.json``.

    Attributes:
        number: the job's number.
        overrides: all of its overrides.
        status: ``interrupted`` from its start on, then ``finished`` or ``failed``.
        seconds: how long it took.
        value: what it returned, where that is a number.
        error: why it failed.
    """

    number: int
    overrides: Overrides
    status: str
    seconds: float
    value: float | None = None
    error: str | None = None

    @classmethod
    def of(
        cls, config: DictConfig, *, status: str, seconds: float, value: Any = None, error: str = ""
    ) -> Self:
        """Return the note of the job with this configuration (``hydra`` included)."""
        is_number = isinstance(value, int | float) and math.isfinite(value)
        return cls(
            number=config.hydra.job.num,
            overrides=list(config.hydra.overrides.task),
            status=status,
            seconds=seconds,
            value=float(value) if is_number else None,
            error=error or None,
        )

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read a ``job.json``."""
        return cls(**json.loads(file.read_text(encoding="utf-8")))

    def write(self, folder: Path) -> None:
        """Write it into the job's folder."""
        write_atomically(folder / JOB_FILE, json.dumps(asdict(self), indent=2) + "\n")


class JobsError(DigitsError):
    """A list of jobs that cannot run as it was typed; nothing has started."""

    exit_code = ConfigError.exit_code


def planned(config: DictConfig) -> list[Overrides]:
    """Return the overrides of each job of a plain list, all found sound.

    Args:
        config: the multirun's own composed configuration, ``hydra`` included.

    Returns:
        One list of overrides per job, in the order of their numbers; empty for a sweeper that
        chooses as it goes, and checks by itself.

    Raises:
        JobsError: there is no list, or jobs of it are faulty: the first ones, with their faults.
    """
    if config.hydra.sweeper._target_ != BASIC:
        return []
    loader = GlobalHydra.instance().config_loader()
    assert isinstance(loader, ConfigLoaderImpl)
    jobs = _expanded(config, OverridesParser.create(config_loader=loader))
    faulty = []
    for number, overrides in enumerate(jobs):
        fault = _fault(config, loader, overrides, number)
        if fault is not None:
            faulty.append(f"Job {number} ({' '.join(overrides)}): {fault}")
        if len(faulty) == MOST_SHOWN:
            break
    if faulty:
        more = "" if len(faulty) < MOST_SHOWN else "\nOnly the first faulty jobs are shown."
        raise JobsError("\n".join(faulty) + f"{more}\nNo job has been started.")
    return jobs


def _expanded(config: DictConfig, parser: OverridesParser) -> list[Overrides]:
    """Return the overrides of each job, as Hydra's own sweeper will make them."""
    params = [f"{key}={value}" for key, value in (config.hydra.sweeper.params or {}).items()]
    try:
        overrides = parser.parse_overrides([*params, *config.hydra.overrides.task])
        batches = BasicSweeper.split_arguments(overrides, None)
    except HydraException as error:
        raise JobsError(f"{error}\n(For intervals choose a search: tuner=random)") from error
    if not any(override.is_sweep_override() for override in overrides):
        raise JobsError(
            "-m: nothing is swept. Give a list, as in model=linear,mlp, or a search: tuner=asha"
        )
    return list(batches[0])


def _fault(
    config: DictConfig, loader: ConfigLoaderImpl, overrides: Overrides, number: int
) -> str | None:
    """Compose and check one job; say what is wrong with it, or return None."""
    before = HydraConfig.instance().cfg
    try:
        job = loader.load_sweep_config(config, list(overrides))
        if job.hydra.sweeper._target_ != BASIC:
            return "a search cannot be one of a list: it is the sweep. Choose one tuner"
        with read_write(job.hydra), open_dict(job.hydra):
            job.hydra.job.num = number
            job.hydra.job.id = str(number)
            job.hydra.runtime.output_dir = str(Path(config.hydra.sweep.dir) / str(number))
        HydraConfig.instance().set_config(job)
        with read_write(job), open_dict(job):
            del job["hydra"]
        checked(job)
    except (HydraException, OmegaConfBaseException, DigitsError) as error:
        return str(error)
    finally:
        HydraConfig.instance().cfg = before
    return None
