"""A Hydra application that does nothing, as trials of the sweeper or as jobs of a plain list."""

from __future__ import annotations

import time

import hydra
from omegaconf import DictConfig

from hydra_plugins.ray_tune_sweeper import session
from scripts.benchmarks.noop import marks


@hydra.main(version_base="1.3", config_path=".", config_name="config")
def main(config: DictConfig) -> float:
    """Report once and return."""
    begin = time.time()
    value = float(config.number)
    trial = session.current()
    time.sleep(config.seconds)
    marks.mark("first", begin)
    if trial is not None:
        trial.report({"value": value})
    marks.mark("trial", begin)
    return value


if __name__ == "__main__":
    main()
