"""The worker's side: one Hydra job in a thread, which stops at each report for an answer."""

from __future__ import annotations

import copy
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.singleton import Singleton
from hydra.core.utils import JobStatus, run_job, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from hydra_plugins.ray_tune_sweeper import _trial
from hydra_plugins.ray_tune_sweeper._space import Draw, text
from hydra_plugins.ray_tune_sweeper._trial import Report, Trial


@dataclass(frozen=True)
class Recipe:
    """What every job of a sweep is made from; travels to the workers.

    Attributes:
        context: Hydra's config loader and callbacks.
        state: Hydra's singletons in the driver.
        config: the sweep's own composed configuration.
        task: the application's function.
        fixed: overrides that all jobs share.
        groups: the swept config groups.
        sweep: the sweep's folder, absolute.
        composed: what has been composed: overrides that choose groups -> configuration.
    """

    context: HydraContext
    state: Mapping[Any, Any]
    config: DictConfig
    task: TaskFunction
    fixed: Sequence[str]
    groups: Sequence[str]
    sweep: Path
    composed: dict[tuple[str, ...], DictConfig] = field(default_factory=dict)

    def compose(self, params: Mapping[str, Draw], number: int) -> DictConfig:
        """Return the configuration of job ``number``, with its `hydra` node.

        Files are read once for each choice of the swept groups; values are set in a copy.
        """
        choices = tuple(text(*each) for each in params.items() if each[0] in self.groups)
        if choices not in self.composed:
            self.composed[choices] = self.context.config_loader.load_sweep_config(
                self.config, [*self.fixed, *choices]
            )
        values = [text(*each) for each in params.items() if each[0] not in self.groups]
        config = with_values(self.composed[choices], values)
        with open_dict(config):
            config.hydra.sweep.dir = str(self.sweep)
            config.hydra.job.num = number
            config.hydra.job.id = f"{config.hydra.job.name}_{number}"
        return config


def with_values(config: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """Return a copy of a job's configuration with more overrides, none of which chooses a group.

    It is what composing with these overrides gives, without reading and merging files again.
    """
    copied = copy.deepcopy(config)
    parser = OverridesParser.create()
    ConfigLoaderImpl._apply_overrides_to_config(parser.parse_overrides(list(overrides)), copied)
    with read_write(copied.hydra), open_dict(copied.hydra):
        copied.hydra.overrides.task.extend(overrides)
        naming = copied.hydra.job.config.override_dirname
        copied.hydra.job.override_dirname = get_overrides_dirname(
            overrides=parser.parse_overrides(list(copied.hydra.overrides.task)),
            kv_sep=naming.kv_sep,
            item_sep=naming.item_sep,
            exclude_keys=naming.exclude_keys,
        )
    return copied


def adopt(recipe: Recipe) -> None:
    """Make this process one of the sweep's: Hydra's resolvers and singletons."""
    setup_globals()
    Singleton.set_state(dict(recipe.state))


@dataclass(frozen=True)
class Ended:
    """How a task ended: its value, or what it raised."""

    value: Any = None
    error: BaseException | None = None


class Job:
    """A Hydra job that runs in a thread beside the trainable.

    Between two answers the thread either trains or waits in ``Trial.report``.
    """

    def __init__(self, recipe: Recipe, trial: Trial, params: Mapping[str, Draw]) -> None:
        self.recipe = recipe
        self.trial = trial
        self.params = params
        self.config: DictConfig | None = None
        self.ended: Ended | None = None
        self._thread = threading.Thread(target=self._run, name=f"trial-{trial.number}", daemon=True)
        self._thread.start()

    @property
    def folder(self) -> str | None:
        """The job's folder, once Hydra has made it."""
        if self.config is None or OmegaConf.is_missing(self.config.hydra.runtime, "output_dir"):
            return None
        return str(self.config.hydra.runtime.output_dir)

    def wait(self) -> Report | Ended:
        """Return the task's next report, or how it ended."""
        event: Report | Ended = self.trial._reports.get()
        if isinstance(event, Ended):
            self.ended = event
        return event

    def go_on(self) -> None:
        """Let the task do its next step."""
        self.trial._answers.put(True)

    def end(self) -> Ended:
        """Tell a waiting task to end, wait until it has closed what it has open, and return how.

        Without a limit: another trial beside it in this process would share its memory and files.
        A task that never ends is found by the driver, as nothing moves any more.
        """
        self.trial._answers.put(False)
        while self.ended is None:
            self.wait()
        return self.ended

    def _run(self) -> None:
        _trial.enter(self.trial)
        try:
            ended = Ended(value=self._job())
        except BaseException as error:
            ended = Ended(error=error)
        finally:
            _trial.leave(self.trial)
        self.trial._reports.put(ended)

    def _job(self) -> Any:
        config = self.recipe.compose(self.params, self.trial.number)
        self.config = config
        done = run_job(
            task_function=self.recipe.task,
            config=config,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
            hydra_context=self.recipe.context,
        )
        if done.status == JobStatus.FAILED:
            raise done._return_value  # return_value would print a stack trace to stderr
        return done.return_value
