"""Our service beside other servers: the same network and image, one core each for server and load.

    scripts/bench serving [--quick] [--only ours,mlserver] [--seconds 3] [--repeats 3] [--soak N]

The servers take turns within each repeat, so that a machine that slows down slows all of them.
"""

from __future__ import annotations

import argparse
import functools
import sys
import tempfile
from pathlib import Path

from scripts.benchmarks import _serving_ours as ours
from scripts.benchmarks._results import FOLDER, Results
from scripts.benchmarks._serving_contenders import (
    NETWORKS,
    Case,
    Contender,
    alone,
    contenders,
    digit_for,
)
from scripts.benchmarks._serving_load import check_generator, load
from scripts.benchmarks._serving_peers import PEERS
from scripts.benchmarks._serving_process import FailedError, Process, prepare_machine
from scripts.benchmarks._serving_report import report
from scripts.benchmarks._trained import KEPT, trained_bundle

VALUES = [
    "requests_per_second",
    "images_per_second",
    "p50_ms",
    "p99_ms",
    "cpu_us",
    "start_seconds",
    "rss_mb",
    "dropped",
]
WARM_UP, SOAK_SECONDS = 1, 2
SOAKED, SOAK_STEP = "ours json c=8", 50_000
HERE = "scripts/bench serving"


def measure(
    contender: Contender, results: Results, repeat: int, seconds: int, failed: dict[str, str]
) -> None:
    """Start it and measure those of its rows that are missing; note in ``failed`` what fails."""
    missing = [
        case
        for case in contender.cases
        if results.lacks(case.name, repeat) and not {case.name, contender.name} & set(failed)
    ]
    if not missing:
        return
    try:
        with (
            tempfile.TemporaryDirectory(prefix="digits-", ignore_cleanup_errors=True) as folder,
            contender.start(Path(folder)) as (process, port),
        ):
            load(port, missing[0].request, connections=8, seconds=WARM_UP)
            for case in missing:
                row = functools.partial(_row, case, process, port, seconds, contender.is_ours)
                try:
                    results.measure(case.name, repeat, row, command=HERE)
                except FailedError as error:
                    failed[case.name] = str(error)
    except FailedError as error:
        failed[contender.name] = str(error)


def _row(
    case: Case, process: Process, port: int, seconds: int, is_ours: bool, _: int
) -> dict[str, float]:
    """Load the server for a while.

    Raises:
        FailedError: a request failed.
    """
    dropped = ours.counted(port, "digits_traffic_dropped") if is_ours else 0.0
    row = _loaded(process, port, case, seconds)
    if is_ours:
        dropped = ours.counted(port, "digits_traffic_dropped") - dropped
        row["dropped"] = dropped / (row["requests_per_second"] * seconds * case.images)
    return row


def _loaded(process: Process, port: int, case: Case, seconds: int) -> dict[str, float]:
    before = process.cpu_seconds()
    met = load(port, case.request, connections=case.connections, seconds=seconds)
    spent = process.cpu_seconds() - before
    if met.failed or not met.requests:
        raise FailedError(f"{met.failed} requests failed, {met.requests} did not")
    rate = met.requests / met.seconds
    return {
        "requests_per_second": rate,
        "images_per_second": rate * case.images,
        "p50_ms": met.p50_ms,
        "p99_ms": met.p99_ms,
        "cpu_us": 1e6 * spent / met.requests,
        "start_seconds": process.start_seconds,
        "rss_mb": process.rss_bytes() / 1e6,
    }


def starts(contender: Contender, results: Results, count: int) -> None:
    """Start ours again and again: from nothing to the first right answer."""

    def row(_: int) -> dict[str, float]:
        with (
            tempfile.TemporaryDirectory() as folder,
            contender.start(Path(folder)) as (process, _),
        ):
            return {"start_seconds": process.start_seconds, "rss_mb": process.rss_bytes() / 1e6}

    for repeat in range(count):
        results.measure("ours start", repeat, row, command=HERE)


def soak(contender: Contender, results: Results, requests: int) -> None:
    """Send so many requests to one process and look at its memory every 50,000."""
    steps = range(requests // SOAK_STEP)
    if not any(results.lacks("ours soak", step) for step in steps):
        return
    results.forget("ours soak")
    case = next(case for case in contender.cases if case.name == SOAKED)
    command = f"{HERE} --soak {requests}"
    with (
        tempfile.TemporaryDirectory() as folder,
        contender.start(Path(folder)) as (process, port),
    ):
        row = functools.partial(_soaked, process, port, case)
        for step in steps:
            results.measure("ours soak", step, row, command=command)


def _soaked(process: Process, port: int, case: Case, _: int) -> dict[str, float]:
    """Send 50,000 requests or a few more; return what the last of them met."""
    sent = 0.0
    while sent < SOAK_STEP:
        row = _loaded(process, port, case, SOAK_SECONDS)
        sent += row["requests_per_second"] * SOAK_SECONDS
    return row


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog=HERE, description=__doc__)
    parser.add_argument("--fresh", action="store_true", help="measure everything again")
    parser.add_argument("--quick", action="store_true", help="a try: 1 s each, rows not kept")
    parser.add_argument("--bundle", type=Path, help="a trained one; default: `run.py` makes it")
    parser.add_argument("--only", default="", help="servers, separated by commas")
    parser.add_argument("--seconds", type=int, default=3, help="of each load")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--starts", type=int, default=10, help="of ours, timed")
    parser.add_argument("--soak", type=int, default=0, help="requests to one process of ours")
    given = parser.parse_args()
    if given.quick:
        given.seconds, given.repeats, given.starts = 1, 1, 1
    return given


def main() -> None:
    """Measure what is missing, then print tables, ratios and targets."""
    given = arguments()
    check_generator()
    bundles = {name: trained_bundle(overrides) for name, overrides in NETWORKS.items()}
    bundles["cnn"] = given.bundle or bundles["cnn"]
    prepare_machine()
    image, label = digit_for(bundles)
    everyone = {each.name: each for each in contenders(bundles, image, label)}
    named = given.only.split(",") if given.only else list(everyone)
    if unknown := set(named) - set(everyone):
        sys.exit(f"no such server: {', '.join(unknown)}; there are: {', '.join(everyone)}")
    kept = KEPT / "quick" if given.quick else FOLDER
    results = Results("serving", VALUES, fresh=given.fresh or given.quick, folder=kept)
    failed: dict[str, str] = {}
    for repeat in range(given.repeats):
        for name, bundle in bundles.items():
            row = functools.partial(alone, bundle, image)
            results.measure(f"network {name}", repeat, row, command=HERE)
        for name in named:
            measure(everyone[name], results, repeat, given.seconds, failed)
    if "ours" in named:
        starts(everyone["ours"], results, given.starts)
        soak(everyone["ours"], results, given.soak)
    report(results, [peer.name for peer in PEERS if peer.is_framework])
    for name, reason in failed.items():
        print(f"not measured: {name}: {reason}")


if __name__ == "__main__":
    main()
