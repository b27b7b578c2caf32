"""What happens to a composed configuration: check, record, seed, build, call, report."""

from __future__ import annotations

import logging
import os
import random
import sys
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException
from hydra.types import RunMode
from omegaconf import DictConfig, ListConfig

from digits.config import canonical
from digits.config.check import check
from digits.config.instantiate import instantiate
from digits.contract import leash
from digits.contract.files import write_atomically
from digits.errors import ConfigError, DigitsError, Finding
from digits.tasks import best, resume
from digits.tasks.signals import INTERRUPTED, heed_sigterm
from digits.tracking.record import PARENT_FILE, Record, run_id_in

log = logging.getLogger(__name__)

IDLE = "none"  # the tuner that searches nothing


class JobFailedError(CompactHydraException):
    """What Hydra prints of a failed job in a sweep: the message, no stack trace."""


def run(config: DictConfig) -> float | None:
    """Run the task of a composed configuration and return its metric.

    Errors of ours end the process with their message and exit code; in a sweep they fail the one
    job. ``HYDRA_FULL_ERROR=1`` shows the stack trace instead.
    """
    heed_sigterm()
    leash.heed_variable()
    try:
        return _run(config)
    except (DigitsError, OSError) as error:
        if os.environ.get("HYDRA_FULL_ERROR"):
            raise
        message = _message(error, config)
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            raise JobFailedError(message) from error
        sys.stderr.write(f"{message}\n")
        raise SystemExit(getattr(error, "exit_code", 1)) from error
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None


def _message(error: DigitsError | OSError, config: DictConfig) -> str:
    if isinstance(error, OSError):
        # A full disk is reported by whichever write meets it, often without the file's name.
        place = error.filename or config.paths.output
        return f"{place}: {error.strerror or error}. Another folder: paths.root=..."
    return str(error)


def _run(config: DictConfig) -> float | None:
    config = checked(config)
    if config.check_only:
        log.info("The configuration is sound: every target, argument and key is accounted for.")
        return None
    _refuse_idle_tuner()
    record = _recorded(config)
    _seed(config.seed)
    task = instantiate(config.task)
    return task(record)


def checked(config: DictConfig) -> DictConfig:
    """Return the configuration that a job will run with: found sound, and what it names put in.

    Raises:
        ConfigError: with every fault.
        ResumeError: what ``resume`` names cannot go on.
        ReproductionError: what ``reproduce`` names cannot be done again.
    """
    if config.get(resume.KEY) is not None:  # an empty name is one too, of no run
        config = resume.recomposed(config)
    elif config.get("reproduce") is not None:
        from digits.tasks import reproduce  # loads the store's libraries

        config = reproduce.recomposed(config)
    else:
        config = best.recomposed(config)
    check(config, elsewhere=config.check_only)
    if HydraConfig.get().mode == RunMode.MULTIRUN:
        _refuse_several_devices(config)
    return config


def _refuse_idle_tuner() -> None:
    """Refuse a tuner in a single run, where it would do nothing."""
    job = HydraConfig.get()
    tuner = job.runtime.choices.get("tuner") or IDLE
    if tuner != IDLE and job.mode == RunMode.RUN:
        message = f"{tuner} searches with -m only: python run.py tuner={tuner} ... -m"
        raise ConfigError([Finding("tuner", message)])


def _refuse_several_devices(config: DictConfig) -> None:
    """Refuse, in a sweep, what makes Lightning start the typed command again for each device."""
    trainer = config.get("trainer") or {}
    devices = trainer.get("devices", 1)
    if len(devices) == 1 if isinstance(devices, ListConfig) else str(devices) == "1":
        return
    strategy = f"trainer.strategy={trainer.get('strategy', 'auto')}"
    message = f"must be 1 in a sweep, not {devices}: each process of {strategy} would run all of it"
    raise ConfigError([Finding("trainer.devices", message)])


def _recorded(config: DictConfig) -> Record:
    """Save the canonical configuration before anything is built from it.

    That of a resumed run stays as it is: it has been found to be the same.
    """
    tree = canonical.canonical(config)
    job = HydraConfig.get()
    folder = Path(config.paths.output)
    folder.mkdir(parents=True, exist_ok=True)
    in_sweep = job.mode == RunMode.MULTIRUN
    sweep = Path(job.runtime.cwd) / job.sweep.dir
    record = Record(
        folder=folder,
        task=job.runtime.choices["task"],
        config_digest=canonical.digest(config),
        parameters=canonical.flatten(tree),
        overrides=list(job.overrides.task),
        seed=config.seed,
        job=job.job.num if in_sweep else None,
        parent_run_id=run_id_in(sweep / PARENT_FILE) if in_sweep else None,
    )
    if not record.config_file.exists():
        write_atomically(record.config_file, canonical.to_yaml(tree))
    return record


def _seed(seed: int) -> None:
    """Seed every generator in use; the check has imported what the task needs, and no more."""
    random.seed(seed)
    if "numpy" in sys.modules:
        import numpy

        numpy.random.seed(seed)
    if "torch" in sys.modules:
        import torch

        torch.manual_seed(seed)
