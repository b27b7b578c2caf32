"""`hydra.sweeper` as plain values, and what cannot be meant by them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hydra.errors import CompactHydraException
from omegaconf import OmegaConf

from hydra_plugins.ray_tune_sweeper._results import Objective

WANTED = {
    "mode": "min or max, one for each metric",
    "on_failure": "stop or continue",
    "num_samples": "at least 1",
    "max_concurrent": "at least 1",
    "max_t": "at least 1",
    "grid_points": "at least 1",
    "resources": "cpu and gpu of at least 0, and one of them above",
    "retries": "at least 0",
    "tolerate": "at least 0",
    "stall_s": "above 0",
    "time_budget_s": "above 0",
    "runtime_env": "null or a mapping, such as {env_vars:{NAME:value}}",
}


@dataclass(frozen=True)
class Settings:
    """`hydra.sweeper` as plain values; the schema stands in ``RayTuneSweeperConf``."""

    objective: Objective
    values: Mapping[str, Any]

    def __getattr__(self, name: str) -> Any:
        return self.values[name]


def read(given: Mapping[str, Any]) -> Settings:
    """Resolve what is configured, and refuse what cannot be meant."""
    values: dict[str, Any] = {
        key: OmegaConf.to_container(each, resolve=True) if OmegaConf.is_config(each) else each
        for key, each in given.items()
    }
    metrics = values["metric"] if isinstance(values["metric"], list) else [values["metric"]]
    modes = values["mode"] if isinstance(values["mode"], list) else [values["mode"]] * len(metrics)
    _refuse("mode", modes, len(modes) == len(metrics) and set(modes) <= {"min", "max"})
    _refuse("on_failure", values["on_failure"], values["on_failure"] in ("stop", "continue"))
    for key in ("num_samples", "max_concurrent", "max_t", "grid_points"):
        _refuse(key, values[key], values[key] is None or values[key] >= 1)
    for key in ("retries", "tolerate"):
        _refuse(key, values[key], values[key] >= 0)
    for key in ("stall_s", "time_budget_s"):
        _refuse(key, values[key], values[key] is None or values[key] > 0)
    cpu, gpu = (dict(values["resources"])[name] for name in ("cpu", "gpu"))
    _refuse("resources", values["resources"], min(cpu, gpu) >= 0 and cpu + gpu > 0)
    runtime_env = values["runtime_env"]
    _refuse("runtime_env", runtime_env, runtime_env is None or isinstance(runtime_env, dict))
    reports = values["reports"]
    if reports is not None:
        for name in metrics:
            if name not in reports:
                raise CompactHydraException(
                    f"hydra.sweeper.metric: the task never reports {name!r}; "
                    f"it reports {', '.join(reports) or 'nothing while it runs'}"
                )
    return Settings(Objective(metrics, modes), values)


def _refuse(key: str, value: Any, is_good: bool) -> None:
    if not is_good:
        raise CompactHydraException(f"hydra.sweeper.{key}: {WANTED[key]}, not {value!r}")
