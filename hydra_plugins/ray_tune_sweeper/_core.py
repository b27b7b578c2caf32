"""The sweep from the overrides to the results."""

from __future__ import annotations

import copy
import dataclasses
import importlib.util
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.singleton import Singleton
from hydra.errors import CompactHydraException
from hydra.types import HydraContext, TaskFunction
from hydra.utils import get_method
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from hydra_plugins.ray_tune_sweeper import _journal as journal
from hydra_plugins.ray_tune_sweeper import _manifest as manifest
from hydra_plugins.ray_tune_sweeper._cluster import Cluster
from hydra_plugins.ray_tune_sweeper._ending import SIGNALS, finish, say
from hydra_plugins.ray_tune_sweeper._job import Recipe
from hydra_plugins.ray_tune_sweeper._plan import Cell, Planned, cells, plan
from hydra_plugins.ray_tune_sweeper._results import TRIALS
from hydra_plugins.ray_tune_sweeper._settings import read
from hydra_plugins.ray_tune_sweeper._space import (
    Draw,
    Parsed,
    SpaceError,
    bare,
    parse,
    text,
    written,
)

if TYPE_CHECKING:
    from hydra_plugins.ray_tune_sweeper._schedule import Schedule

IDENTITY = ("metric", "mode", "max_t", "seed", "scheduler", "searcher", "grid_points")
BASIC = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"


class Sweep:
    """One call of the sweeper."""

    def __init__(
        self,
        settings: Mapping[str, Any],
        *,
        config: DictConfig,
        context: HydraContext,
        task: TaskFunction,
    ) -> None:
        self.settings = read(settings)
        self.config = config
        self.context = context
        self.folder = Path(str(config.hydra.sweep.dir)).absolute()
        self.recipe = Recipe(context, Singleton.get_state(), config, task, (), (), self.folder)

    def run(self, arguments: Sequence[str]) -> Any:
        """Search; see ``RayTuneSweeper.sweep``."""
        begin = time.monotonic()
        if importlib.util.find_spec("ray") is None:
            raise CompactHydraException(f"Ray is not installed: {self.settings.install}")
        if self.config.hydra.launcher._target_ != BASIC:
            raise CompactHydraException(
                "hydra/launcher: Ray Tune starts the trials itself; leave it out"
            )
        parsed = self._parsed(arguments)
        self.recipe = dataclasses.replace(
            self.recipe, fixed=parsed.fixed, groups=tuple(parsed.groups)
        )
        parts, configs = self._cells(parsed)
        planned = self._plan(parts)
        cluster = Cluster(
            address=self.settings.address,
            runtime_env=self.settings.runtime_env,
            preload=self.settings.preload,
            resources=self.settings.resources,
        )
        cluster.start()
        at_once = False
        try:
            self._check(parts)
            cluster.ready()
            schedule = self._schedule(parts)
            with manifest.driven(self.folder):
                earlier = self._begin(parts, configs)
                reason = self._search(schedule, parts, planned, earlier)
                seconds = time.monotonic() - begin
                return finish(self.recipe, self.settings, planned, reason, seconds=seconds)
        except KeyboardInterrupt:
            at_once = True
            raise SystemExit(SIGNALS["interrupted"]) from None
        finally:
            cluster.stop(at_once=at_once)

    def _begin(
        self, parts: Sequence[Cell], configs: Sequence[DictConfig]
    ) -> dict[int, journal.Story]:
        """Write down what the sweep is, and return what is known of its trials from earlier."""
        goes_on = manifest.begin(self.folder, self._identity(parts, configs))
        journals = self.folder / manifest.PLACE / manifest.JOURNALS
        journals.mkdir(exist_ok=True)
        (self.folder / TRIALS).unlink(missing_ok=True)  # what an earlier part had found
        earlier = journal.stories(journals)
        if goes_on:
            _announce(earlier)
        if self.settings.begin:
            get_method(self.settings.begin)(self.config)
        return earlier

    def _parsed(self, arguments: Sequence[str]) -> Parsed:
        loader = self.context.config_loader
        params = [written(key, value) for key, value in self.settings.params.items()]
        return parse(
            [*params, *arguments],
            parser=OverridesParser.create(config_loader=loader),
            is_group=lambda key: bool(loader.get_group_options(key, ObjectType.CONFIG)),
        )

    def _cells(self, parsed: Parsed) -> tuple[list[Cell], list[DictConfig]]:
        parts, configs = [], []
        for groups in cells(parsed.groups):
            config = self.recipe.compose(groups, 0)
            space = dict(parsed.dimensions) or self._default_space(config, parsed.fixed)
            if not space and not groups:
                raise SpaceError(
                    "the search space is empty: give a value to search over, such as "
                    "'optimizer.lr=tag(log, interval(1e-4, 1e-1))'"
                )
            parts.append(Cell(groups, space))
            configs.append(config)
        return parts, configs

    def _default_space(self, config: DictConfig, fixed: Sequence[str]) -> dict[str, Any]:
        """Return the space that the application has for this job, without what was typed."""
        typed = {bare(each).split("=")[0] for each in fixed}
        place = self.settings.default_space
        node = OmegaConf.select(config, place) if place else None
        if not node:
            return {}
        found = parse(
            [written(str(key), value) for key, value in node.items()],
            parser=OverridesParser.create(config_loader=self.context.config_loader),
            is_group=lambda key: False,
        ).dimensions
        return {key: each for key, each in found.items() if bare(key) not in typed}

    def _plan(self, parts: Sequence[Cell]) -> list[Planned] | None:
        """Return the trials; None where a searcher suggests them one by one."""
        if self.settings.searcher:
            if self.settings.num_samples is None:
                raise SpaceError("num_samples: a searcher needs to know how many trials there are")
            return None
        return plan(
            parts,
            count=self.settings.num_samples,
            seed=self.settings.seed,
            grid_points=self.settings.grid_points,
        )

    def _check(self, parts: Sequence[Cell]) -> None:
        """Compose, and let the application check, each cell at every end of its space."""
        check = get_method(self.settings.check) if self.settings.check else None
        for cell in parts:
            first: dict[str, Draw] = {key: each.ends()[0] for key, each in cell.space.items()}
            others = [
                {**first, key: value}
                for key, each in cell.space.items()
                for value in each.ends()[1:]
            ]
            for params in (first, *others):
                self._check_one({**cell.groups, **params}, check)

    def _check_one(
        self, params: Mapping[str, Draw], check: Callable[[DictConfig], None] | None
    ) -> None:
        config = self.recipe.compose(params, 0)
        if check is None:
            return
        before = HydraConfig.instance().cfg
        with read_write(config.hydra.runtime), open_dict(config.hydra.runtime):
            config.hydra.runtime.output_dir = str(self.folder / "0")
        HydraConfig.instance().set_config(config)
        plain = copy.deepcopy(config)
        with read_write(plain), open_dict(plain):
            del plain["hydra"]
        try:
            check(plain)
        except Exception as error:
            typed = " ".join(text(*each) for each in params.items())
            raise CompactHydraException(f"{typed}\n{error}") from None
        finally:
            HydraConfig.instance().cfg = before

    def _identity(self, parts: Sequence[Cell], configs: Sequence[DictConfig]) -> dict[str, str]:
        return manifest.identity(
            {key: self.settings.values[key] for key in IDENTITY},
            [(cell.groups, cell.space) for cell in parts],
            configs,
            free_keys=[*self.settings.search_keys, *self.settings.free_keys],
        )

    def _schedule(self, parts: Sequence[Cell]) -> Schedule:
        """Build the scheduler, and try the searcher out; both need ray."""
        from hydra_plugins.ray_tune_sweeper._schedule import build
        from hydra_plugins.ray_tune_sweeper._search import searcher

        objective = self.settings.objective
        metrics, modes = objective.metrics, objective.modes
        if self.settings.searcher:
            for cell in parts:
                searcher(self.settings.searcher, cell, metrics=metrics, modes=modes, seed=0)
        return build(
            self.settings.scheduler,
            cells=parts,
            metrics=metrics,
            modes=modes,
            max_t=self.settings.max_t,
            fixed_keys=self.settings.fixed_keys,
            seed=self.settings.seed,
        )

    def _search(
        self,
        schedule: Schedule,
        parts: Sequence[Cell],
        planned: list[Planned] | None,
        earlier: Mapping[int, journal.Story],
    ) -> str | None:
        """Run what is left of the sweep; return why it was ended, None when it came to its end."""
        from hydra_plugins.ray_tune_sweeper._tuner import Left, tune_trials

        settings = self.settings
        left = Left.of(
            planned,
            earlier,
            total=settings.num_samples,
            schedule=schedule,
            retries=settings.retries,
        )
        if not left.count:
            return None
        try:
            return tune_trials(
                settings, self.recipe, left=left, parts=parts, schedule=schedule, earlier=earlier
            )
        except Exception as error:  # the cluster is lost, say: what the journals hold is kept
            say(f"Ray gave up: {error}")
            return "failed"


def _announce(earlier: Mapping[int, journal.Story]) -> None:
    ended = sum(story.status in journal.FINAL for story in earlier.values())
    say(f"Going on: {ended} trials have ended, {len(earlier) - ended} were under way.")
