"""The sweeper as Hydra sees it. Hydra imports this module at every start: ray stays outside.

Annotations are not postponed here: Hydra executes the module before it is in ``sys.modules``,
where dataclasses would look postponed ones up.
"""

from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


@dataclass
class Resources:
    """What one trial takes of the cluster."""

    cpu: float = 1.0
    gpu: float = 0.0


@dataclass
class RayTuneSweeperConf:
    """The node `hydra.sweeper`; see the README for what each value means."""

    _target_: str = "hydra_plugins.ray_tune_sweeper.ray_tune_sweeper.RayTuneSweeper"
    # Nested targets arrive as they are written: they are built after ray has been set up.
    _recursive_: bool = False
    # What is searched by: a name, or several for a Pareto front; "min" or "max" for each.
    metric: Any = "value"
    mode: Any = "max"
    # Metrics that the task reports after each step; null when that is not known beforehand.
    reports: Any = None
    # Trials in all, also over resumes; null for every combination of the lists.
    num_samples: int | None = 16
    max_concurrent: int | None = None
    # Steps after which a trial ends as finished.
    max_t: int | None = None
    time_budget_s: float | None = None
    # A sweep in which nothing has moved for so long is ended.
    stall_s: float = 1800.0
    seed: int = 0
    resources: Resources = field(default_factory=Resources)
    # Go through every choice and range, and so many points of each interval; null to draw.
    grid_points: int | None = None
    scheduler: Any = None
    searcher: Any = None
    # The search space, besides what is typed: override key -> value in Hydra's grammar.
    params: dict[str, Any] = field(default_factory=dict)
    # Node of the job's configuration that holds a space for when nothing else names one.
    default_space: str | None = None
    # Keys of the application that only a search reads: no part of what it finds.
    search_keys: list[str] = field(default_factory=list)
    # Other keys that a resumed sweep may change.
    free_keys: list[str] = field(default_factory=list)
    # The override by which a sweep is resumed: it names the sweep's folder.
    resume_key: str = "hydra.sweep.dir"
    # Keys (patterns) that a running trial cannot change: refused for population based training.
    fixed_keys: list[str] = field(default_factory=list)
    # stop: the first failed trial ends the sweep; continue: the others go on.
    on_failure: str = "continue"
    retries: int = 0
    # So many failed trials still make a success of the sweep.
    tolerate: int = 0
    # Called with each configuration that is checked before the first trial; raises when faulty.
    check: Any = None
    # Called with the sweep's configuration when all is checked and nothing has started.
    begin: Any = None
    # Modules that each worker imports while ray is still starting trials.
    preload: list[str] = field(default_factory=list)
    # What to type when ray is not installed.
    install: str = "pip install 'ray[tune]'"
    address: str = "local"
    runtime_env: Any = None


class RayTuneSweeper(Sweeper):
    """Runs Hydra jobs as Ray Tune trials."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings
        self.config: DictConfig | None = None
        self.hydra_context: HydraContext | None = None
        self.task_function: TaskFunction | None = None

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keep what a job is made from."""
        self.config = config
        self.hydra_context = hydra_context
        self.task_function = task_function

    def sweep(self, arguments: list[str]) -> Any:
        """Search; return the best value (several: None).

        Raises:
            CompactHydraException: the sweep is refused, with the reason.
            SystemExit: trials failed, or it was interrupted.
        """
        from hydra_plugins.ray_tune_sweeper._core import Sweep

        assert self.config and self.hydra_context and self.task_function
        return Sweep(
            self.settings,
            config=self.config,
            context=self.hydra_context,
            task=self.task_function,
        ).run(arguments)


ConfigStore.instance().store(
    group="hydra/sweeper", name="ray_tune", node=RayTuneSweeperConf, provider="ray_tune_sweeper"
)
