"""The same trials by Ray Tune alone: raw.py <folder> <trials> <slots>."""

from __future__ import annotations

import logging
import sys
import time

import ray
from ray import tune
from ray.tune.schedulers import FIFOScheduler

from hydra_plugins.ray_tune_sweeper._cluster import OBJECT_STORE
from scripts.benchmarks.noop import marks


def trial(config: dict[str, int]) -> None:
    """Report once and return."""
    begin = time.time()
    marks.mark("first", begin)
    tune.report({"value": float(config["number"])})
    marks.mark("trial", begin)


def main(folder: str, count: int, slots: int) -> None:
    """Start Ray as the sweeper does, and run the trials."""
    ray.init(
        address="local",
        include_dashboard=False,
        object_store_memory=OBJECT_STORE,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    begin = time.time()
    tuner = tune.Tuner(
        tune.with_resources(trial, {"cpu": 1}),
        param_space={"number": tune.grid_search(list(range(count)))},
        tune_config=tune.TuneConfig(
            metric="value",
            mode="max",
            scheduler=FIFOScheduler(),
            max_concurrent_trials=slots,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(name="raw", storage_path=folder, verbose=0),
    )
    tuner.fit()
    marks.mark(marks.FIT, begin)
    ray.shutdown()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
