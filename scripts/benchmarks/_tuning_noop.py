"""What the sweeper costs: trials that do nothing, ours and raw Ray Tune's; slots that idle."""

from __future__ import annotations

import functools
from statistics import fmean

from hydra_plugins.ray_tune_sweeper._cluster import SWITCHES
from scripts.benchmarks._results import ROOT, Results, show, spread
from scripts.benchmarks._tuning_runs import SLOTS, Ran, scratch, timed
from scripts.benchmarks.noop import marks

NOOP = ROOT / "scripts" / "benchmarks" / "noop"
OURS = [str(NOOP / "traced.py"), str(NOOP / "app.py"), "hydra/sweeper=ray_tune"]
EVERY = ["hydra.sweeper.num_samples=null", "hydra.sweeper.grid_points=1"]
TRIALS = 64
LENGTHS = (6, 24, 10, 18, 8, 20, 12, 16)  # seconds


def ours(*overrides: str) -> Ran:
    """Search with the sweeper."""
    with scratch() as folder:
        places = [f"hydra.sweep.dir={folder}/sweep", f"hydra.sweeper.max_concurrent={SLOTS}"]
        return timed([*OURS, *EVERY, *places, *overrides, "-m"], folder)


def raw() -> Ran:
    """Run as many trials with Ray Tune alone, under the switches that the sweeper sets."""
    with scratch() as folder:
        switches = {"RAY_AUTH_MODE": "disabled", **SWITCHES}
        arguments = [str(NOOP / "raw.py"), str(folder / "tune"), str(TRIALS), str(SLOTS)]
        return timed(arguments, folder, environment=switches)


def _overhead(repeat: int) -> dict[str, float]:
    """Time both, one after the other; who is first changes."""
    runs = {"ours": lambda: ours(f"number=range({TRIALS})"), "raw": raw}
    order = list(runs) if repeat % 2 == 0 else list(runs)[::-1]
    values = {}
    for name in order:
        ran = runs[name]()
        fit = ran.span(marks.FIT)
        values[f"{name}_seconds"] = ran.seconds
        values[f"{name}_fit"] = fit.end - fit.begin
        values[f"{name}_first"] = min(each.end for each in ran.named("first")) - ran.begin
    values["ratio_fit"] = values["ours_fit"] / values["raw_fit"]
    values["ratio_seconds"] = values["ours_seconds"] / values["raw_seconds"]
    values["later"] = values["ours_first"] - values["raw_first"]
    return values


def overhead(repeats: int, *, fresh: bool) -> None:
    """Measure what is missing of ours beside raw Ray Tune, then print the table."""
    names = [f"{who}_{what}" for what in ("seconds", "fit", "first") for who in ("ours", "raw")]
    columns = [*names, "ratio_fit", "ratio_seconds", "later"]
    results = Results("tuning_overhead", columns, fresh=fresh)
    case = f"{TRIALS} no-op trials"
    for repeat in range(repeats):
        results.measure(case, repeat, _overhead, command="scripts/bench tuning overhead")
    column = functools.partial(results.column, case)
    rows = [
        [title, spread(column(f"ours_{name}")), spread(column(f"raw_{name}")), last]
        for title, name, last in (
            ("time of the trials (s)", "fit", f"{spread(column('ratio_fit'))} times, goal ≤ 1.2"),
            ("whole command (s)", "seconds", f"{spread(column('ratio_seconds'))} times"),
            ("first report after (s)", "first", f"{spread(column('later'))} s later, goal ≤ 1.5"),
        )
    ]
    show(f"{case}, {repeats} pairs", ["", "sweeper", "raw Ray Tune", "difference"], rows)


def _slots(repeat: int) -> dict[str, float]:
    """Return the share of the time in which all slots were busy, until the last trial began."""
    ran = ours(f"seconds={','.join(map(str, LENGTHS))}")
    trials = ran.named("trial")
    begins, ends = sorted(each.begin for each in trials), sorted(each.end for each in trials)
    first, last = begins[0], begins[-1]
    busy, running, before = 0.0, 0, first
    for at, change in sorted([(at, 1) for at in begins] + [(at, -1) for at in ends]):
        if running >= SLOTS:
            busy += min(at, last) - min(before, last)
        running, before = running + change, at
    waits = [begin - end for begin, end in zip(begins[SLOTS:], ends, strict=False)]
    return {"busy": busy / (last - first), "until_last": last - first, "wait": fmean(waits)}


def slots(repeats: int, *, fresh: bool) -> None:
    """Measure what is missing of the slots' idling, then print the table."""
    results = Results("tuning_slots", ["busy", "until_last", "wait"], fresh=fresh)
    case = f"{len(LENGTHS)} trials of {min(LENGTHS)} to {max(LENGTHS)} s on {SLOTS} slots"
    for repeat in range(repeats):
        results.measure(case, repeat, _slots, command="scripts/bench tuning slots")
    rows: list[tuple[str, str, float]] = [
        ("all slots busy until the last trial begins (%), goal ≥ 95", "busy", 100),
        ("seconds until the last trial begins", "until_last", 1),
        ("seconds from the end of a trial to the next in its slot", "wait", 1),
    ]
    shown = [[title, spread(results.column(case, name), scale)] for title, name, scale in rows]
    show(f"{case}, {repeats} repeats", ["", "mean ± sd (range)"], shown)
