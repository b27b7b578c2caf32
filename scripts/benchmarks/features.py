"""Seconds and memory to bring 70,000 digits into the feature store, join them, take them online."""

from __future__ import annotations

import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from hydra import compose, initialize_config_dir

from digits.config import resolvers
from digits.config.instantiate import instantiate
from digits.contract import switches
from scripts.benchmarks._results import ROOT, Results, arguments, show, spread

PARTS = ("ingest", "join", "materialize")
VALUES = [*PARTS, *(f"{part}_cpu" for part in PARTS), "lookup_ms", "megabytes"]
LIMITS = {"join": 10.0, "materialize": 15.0, "megabytes": 2000.0}
OVERRIDES = ["task=features", "data=mnist"]
CASE = "sqlite"
LOOKUPS = 200


def measure(repeat: int) -> dict[str, float]:
    """Do it in a process of its own, whose peak of memory is told."""
    del repeat
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measure)


def _measure() -> dict[str, float]:
    switches.apply()
    resolvers.register()
    with tempfile.TemporaryDirectory() as folder:
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            places = [f"paths.root={folder}", f"paths.cache={ROOT}/outputs/cache"]
            config = compose("config", [*OVERRIDES, *places])
        data, store = instantiate(config.data).load(), instantiate(config.features)
        store.feast  # noqa: B018 - importing Feast takes its seconds in every task that needs it
        from digits.features.ingest import SPLITS, ingest, samples_of
        from digits.features.join import known
        from digits.features.online import look_up, materialize
        from digits.features.views import IMAGE, LABELS, SHAPE

        views = [LABELS, SHAPE, IMAGE]
        samples = [sample for split in SPLITS for sample in samples_of(data, split)]
        now = datetime.now(UTC)

        def join() -> None:
            for view in views:
                assert not known(store, view, samples, now).isna().any().any()

        found = {
            **_timed("ingest", lambda: ingest(store, data, moment=now)),
            **_timed("join", join),
            **_timed("materialize", lambda: materialize(store, views)),
        }
        look_up(store, samples[0])
        looked = _timed("", lambda: [look_up(store, each) for each in samples[:LOOKUPS]])
        store.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {**found, "lookup_ms": looked[""] / LOOKUPS * 1000, "megabytes": peak}


def _timed(name: str, function: Callable[[], Any]) -> dict[str, float]:
    begin, worked = time.perf_counter(), time.process_time()
    function()
    return {
        name: time.perf_counter() - begin,
        f"{name}_cpu": time.process_time() - worked,
    }


def main() -> None:
    """Measure what is missing, then print the table."""
    options = arguments(__doc__, repeats=3)
    results = Results("features", VALUES, fresh=options.fresh)
    for repeat in range(options.repeats):
        results.measure(
            CASE, repeat, measure, command="scripts/bench features", overrides=OVERRIDES
        )
    rows = [[name, spread(results.column(CASE, name))] for name in VALUES]
    show(f"70,000 digits, {options.repeats} times", ["", "seconds, or as named"], rows)
    over = [name for name, most in LIMITS.items() if max(results.column(CASE, name)) > most]
    if over:
        raise SystemExit(f"more than allowed: {', '.join(over)}")


if __name__ == "__main__":
    main()
