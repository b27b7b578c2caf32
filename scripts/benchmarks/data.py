"""Seconds to keep and to fetch 70,000 images as a data version, and to bring them a second time."""

from __future__ import annotations

import functools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from hydra import compose, initialize_config_dir

from digits.config import resolvers
from digits.config.instantiate import instantiate
from digits.contract import switches
from digits.data.archive import Stage
from digits.data.mnist import Mnist
from digits.data.raw import Raw
from digits.data.types import Digits
from digits.data.version import Made
from digits.data.versions import Versions
from digits.tracking.store import Tracking
from scripts.benchmarks._results import ROOT, Results, arguments, show, spread

Value = TypeVar("Value")
STAGES: tuple[Stage, ...] = ("raw", "preprocessed")
VALUES = ["keep", "fetch", "again", "megabytes"]
LIMIT = 10.0  # seconds
OVERRIDES = ["task=data", "data=mnist"]


def measure(source: Mnist, stage: Stage, repeat: int) -> dict[str, float]:
    """Keep one stage in an empty store, bring it again, fetch it to an empty cache."""
    del repeat
    raw = source.raw()

    def fresh() -> Raw | Digits:  # its digest not yet computed
        return source.preprocess(raw) if stage == "preprocessed" else source.raw()

    with tempfile.TemporaryDirectory() as folder:
        tracking = Tracking(uri=f"sqlite:///{folder}/mlflow.db")
        tracking.client()  # a new database is migrated, which is not ours to measure
        versions = Versions(tracking=tracking, cache=f"{folder}/cache")
        made = Made.now(commit="unknown", config_digest="0" * 64)
        first, second = fresh(), fresh()
        keep, (version, _) = _timed(lambda: versions.put(first, stage, made))
        again, (_, is_new) = _timed(lambda: versions.put(second, stage, made))
        fetch, content = _timed(lambda: versions.fetch(versions.find(first.digest)))
        assert not is_new and content.digest == first.digest and version.samples == 70_000
        size = sum(file.stat().st_size for file in Path(folder, "artifacts").rglob("*.npz"))
    return {"keep": keep, "fetch": fetch, "again": again, "megabytes": size / 1e6}


def _timed(function: Callable[[], Value]) -> tuple[float, Value]:
    begin = time.perf_counter()
    value = function()
    return time.perf_counter() - begin, value


def main() -> None:
    """Measure what is missing, then print the table."""
    options = arguments(__doc__, repeats=5)
    switches.apply()
    resolvers.register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("config", [*OVERRIDES, f"paths.cache={ROOT}/outputs/cache"])
    source = instantiate(config.data)
    results = Results("data", VALUES, fresh=options.fresh)
    for stage in STAGES:
        row = functools.partial(measure, source, stage)
        for repeat in range(options.repeats):
            results.measure(stage, repeat, row, command="scripts/bench data", overrides=OVERRIDES)
    rows = [[stage, *(spread(results.column(stage, name)) for name in VALUES)] for stage in STAGES]
    header = ["70,000 images", "keep (s)", "fetch (s)", "bring again (s)", "stored (MB)"]
    show(f"MNIST as a data version, {options.repeats} times", header, rows)
    slowest = max(
        value
        for stage in STAGES
        for name in ("keep", "fetch")
        for value in results.column(stage, name)
    )
    if slowest > LIMIT:
        raise SystemExit(f"one took {slowest:.1f} s, more than {LIMIT:.0f} s")


if __name__ == "__main__":
    main()
