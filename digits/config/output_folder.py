"""A Hydra callback that ends a job early, and clearly, when its folder cannot be written."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from digits.config.frame import folder_fault
from digits.errors import ConfigError, Finding

RAISED = "ValueError raised while resolving interpolation: "  # before what a resolver says
ROOM = 1 << 18  # bytes that Hydra's own files and the log need at the least


class OutputFolder(Callback):
    """Make the job's folder before Hydra does, whose own failure would be a stack trace."""

    def on_run_start(self, config: DictConfig, **kwargs: object) -> None:
        """Create ``hydra.run.dir``."""
        _refuse(config)
        self._create(config.hydra.run.dir)

    def on_multirun_start(self, config: DictConfig, **kwargs: object) -> None:
        """Create ``hydra.sweep.dir``."""
        _refuse(config)
        _refuse_unresolvable(config)
        self._create(config.hydra.sweep.dir)

    @staticmethod
    def _create(folder: str) -> None:
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder) as file:
                file.write(bytes(ROOM))
                file.flush()
        except OSError as error:
            sys.exit(f"paths.root: cannot write {folder}: {error.strerror}. Choose another folder.")


def _refuse_unresolvable(config: DictConfig) -> None:
    """End the sweep where a value of it cannot be had: Hydra would print a stack trace."""
    try:
        # Not hydra.sweep.subdir, whose value each job has for itself.
        _ = config.hydra.sweep.dir
        OmegaConf.to_container(config.hydra.sweeper, resolve=True)
    except OmegaConfBaseException as error:
        told = str(error).splitlines()[0].removeprefix(RAISED)
        sys.stderr.write(f"{told}\n")
        raise SystemExit(ConfigError.exit_code) from error


def _refuse(config: DictConfig) -> None:
    """End the job where the folder's name is none; the check comes after Hydra has made it."""
    root = OmegaConf.select(config, "paths.root", throw_on_missing=True)
    fault = folder_fault(root)
    if fault is not None:
        error = ConfigError([Finding("paths.root", fault)])
        sys.stderr.write(f"{error}\n")
        raise SystemExit(error.exit_code)
