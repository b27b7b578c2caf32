"""Tables of the servers, ratios within each repeat, and what was aimed at."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from scripts.benchmarks._results import Results, show, spread
from scripts.benchmarks._serving_contenders import BEST, CONCURRENCIES

FRAMEWORKS, BY_HAND = 2.0, 0.8  # times their requests a second
CPU_US = {"json": 150, "octets": 80}  # a request
IMAGES = 25_000  # a second, with the tiny network
#: heading -> column, decimals
COLUMNS = {
    "requests/s": ("requests_per_second", 0),
    "p50 ms": ("p50_ms", 2),
    "p99 ms": ("p99_ms", 2),
    "CPU µs": ("cpu_us", 0),
    "start s": ("start_seconds", 2),
    "RSS MB": ("rss_mb", 0),
}
BATCHED = ("ours cnn", "ours tiny")


def report(results: Results, frameworks: Sequence[str]) -> None:
    """Print all that is measured."""
    _servers(results)
    _batches(results)
    _ratios(results, frameworks)
    _targets(results)
    memory = results.column("ours soak", "rss_mb")
    if memory:
        print("soak, RSS in MB every 50,000 requests:", *(f"{value:.0f}" for value in memory))


def _servers(results: Results) -> None:
    rows = []
    for case in dict.fromkeys(row["case"] for row in results.rows):
        if " c=" in case or case.startswith("network"):
            columns = [(results.column(case, name), digits) for name, digits in COLUMNS.values()]
            rows.append([case, *(_cell(values, digits) for values, digits in columns)])
    show("One worker on one core, load on the other", ["", *COLUMNS], rows)


def _cell(values: Sequence[float], digits: int) -> str:
    """Return ``mean ± sd``."""
    if not values:
        return "–"
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):,.{digits}f} ± {deviation:.{digits}f}"


def _batches(results: Results) -> None:
    rows = []
    for case in dict.fromkeys(row["case"] for row in results.rows):
        if case.startswith(BATCHED):
            dropped = [100 * share for share in results.column(case, "dropped")]
            rate = results.column(case, "images_per_second")
            images = int(case.split()[2])
            spent = [1e6 * images / value for value in results.column(case, "cpu_us")]
            rows.append([case, spread(rate, digits=0), spread(spent, digits=0), _cell(dropped, 1)])
    header = ["", "images/s", "images/CPU second", "not kept %"]
    show("Many images in a request, octets", header, rows)


def _ratios(results: Results, frameworks: Sequence[str]) -> None:
    """Print ours over others within each repeat."""
    pairs = {
        f"best framework (≥ {FRAMEWORKS:g})": ("ours", frameworks),
        f"by hand (≥ {BY_HAND:g})": ("ours", ["handwritten"]),
        f"fast network: {BEST} (≥ {FRAMEWORKS:g})": ("ours fast", [f"{BEST} fast"]),
        f"fast network: by hand (≥ {BY_HAND:g})": ("ours fast", ["handwritten fast"]),
    }
    rows = [
        [str(count), *(spread(_over(results, *pair, count)) for pair in pairs.values())]
        for count in CONCURRENCIES
    ]
    show("Our JSON route, its requests/s over those of others", ["c", *pairs], rows)


def _over(results: Results, name: str, others: Sequence[str], count: int) -> list[float]:
    """Return our requests/s over those of the best of ``others``, of each repeat."""
    mine = _by_repeat(results, f"{name} json c={count}")
    theirs = [_by_repeat(results, f"{other} json c={count}") for other in others]
    best = {
        repeat: max(found)
        for repeat in mine
        if (found := [each[repeat] for each in theirs if repeat in each])
    }
    return [mine[repeat] / best[repeat] for repeat in best]


def _by_repeat(results: Results, case: str) -> dict[str, float]:
    return {
        row["seed"]: float(row["requests_per_second"])
        for row in results.rows
        if row["case"] == case
    }


def _targets(results: Results) -> None:
    """Print what was aimed at beside what was found."""
    rows = [
        (f"CPU µs/request, {case}", f"≤ {bound}", case, "cpu_us", 0)
        for route, bound in CPU_US.items()
        for name in ("ours", "ours fast")
        for case in (f"{name} {route} c={count}" for count in CONCURRENCIES)
    ]
    best = max(
        (row["case"] for row in results.rows if row["case"].startswith("ours tiny")),
        key=lambda case: statistics.mean(results.column(case, "images_per_second")),
        default="",
    )
    rows += [
        (f"images/s, {best}", f"≥ {IMAGES:,}", best, "images_per_second", 0),
        ("ms for a saliency (p50)", "≤ 20", "ours saliency", "p50_ms", 2),
        ("s from start to answer", "≤ 1", "ours start", "start_seconds", 2),
        ("MB resident after the start", "≤ 150", "ours start", "rss_mb", 0),
        ("MB resident under load", "≤ 150", "ours json c=32", "rss_mb", 0),
    ]
    cells = [
        [text, bound, spread(results.column(case, column), digits=digits)]
        for text, bound, case, column, digits in rows
    ]
    on, off = (results.column(f"{name} json c=1", "p50_ms") for name in ("ours batching", "ours"))
    longer = [batched - single for batched, single in zip(on, off, strict=False)]
    cells.append(["ms more with batching that waits 1 ms, c=1", "≤ 1", spread(longer)])
    show("Aimed at", ["", "target", "measured"], cells)
