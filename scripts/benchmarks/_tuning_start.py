"""What comes before and after the trials of a search, and when a plain multirun is quicker."""

from __future__ import annotations

import json
from pathlib import Path

from scripts.benchmarks._results import ROOT, Results, show, spread
from scripts.benchmarks._tuning_runs import SLOTS, scratch, sweep, timed
from scripts.benchmarks.noop import marks

TRACED = str(ROOT / "scripts" / "benchmarks" / "noop" / "traced.py")
QUICK = ["model=linear", "trainer.max_epochs=1"]
TRIALS = 16  # the default of tuner.num_samples
FEW, MANY = 2, 10  # trials, to tell what each takes from what all take once
STEPS = {
    "before": "Python, Hydra, overrides",
    "space": "search space composed and planned",
    "check": "configurations checked, which imports torch; manifest written",
    "ready": "left: waiting for Ray",
    "actor": "left: waiting for a worker",
    "report": "first trial until its first report",
    "until_report": "= first report after",
    "ray": "meanwhile: Ray and ray.tune imported, Ray started",
    "closing": "after the last trial: results, pictures, Ray stopped",
}


def _start(_: int) -> dict[str, float]:
    """Take a search of two short trials apart."""
    with scratch() as folder:
        overrides = [*QUICK, _seeds(SLOTS), "tuner=grid", f"paths.root={folder}", "-m"]
        ran = timed([TRACED, str(ROOT / "run.py"), *overrides], folder)
        begin, report = _first(folder)
    run, fit = ran.span(marks.SWEEP), ran.span(marks.FIT)
    connect, ready = map(ran.span, (marks.CONNECT, marks.READY))
    return {
        "before": run.begin - ran.begin,
        "space": connect.begin - run.begin,
        "check": ready.begin - connect.begin,
        "ready": ready.end - ready.begin,
        "actor": begin - ready.end,
        "report": report - begin,
        "until_report": report - ran.begin,
        "ray": connect.end - connect.begin,
        "closing": ran.begin + ran.seconds - fit.end,
    }


def _first(folder: Path) -> tuple[float, float]:
    """Return when the first trial began, and when the first one reported (system's clock)."""
    (file,) = folder.glob("sweeps/**/trials.json")
    trials = json.loads(file.read_text(encoding="utf-8"))["trials"]
    journals = file.parent / ".tune" / "trials"
    begins = [(journals / f"{each['number']:05d}.lock").stat().st_mtime for each in trials]
    steps = [each["steps"][0]["seconds"] for each in trials]
    return min(begins), min(begin + step for begin, step in zip(begins, steps, strict=True))


def start(repeats: int, *, fresh: bool) -> None:
    """Measure what is missing of where the time of a start goes, then print the table."""
    results = Results("tuning_start", list(STEPS), fresh=fresh)
    case = f"python run.py {' '.join(QUICK)} {_seeds(SLOTS)} tuner=grid -m"
    for repeat in range(repeats):
        results.measure(case, repeat, _start, command="scripts/bench tuning start")
    rows = [[title, spread(results.column(case, name))] for name, title in STEPS.items()]
    show(f"{case}, {repeats} repeats", ["", "seconds"], rows)


def _fixed(_: int) -> dict[str, float]:
    """Tell what a search, and a plain multirun, take once from what they take for each trial."""
    values = {}
    for name, overrides in {"search": ["tuner=grid"], "plain": ["loader.num_workers=0"]}.items():
        for count in (FEW, MANY):
            with scratch() as folder:
                ran = sweep([*QUICK, _seeds(count), *overrides], folder)
                values[f"{name}_{count}"] = ran.seconds
        few, many = values[f"{name}_{FEW}"], values[f"{name}_{MANY}"]
        values[f"{name}_fixed"] = few - FEW * (many - few) / (MANY - FEW)
    # Work W takes W after one another, and W / SLOTS side by side.
    later = values["search_fixed"] - values["plain_fixed"]
    values["break_even"] = later * SLOTS / (SLOTS - 1)
    return values


def fixed(repeats: int, *, fresh: bool) -> None:
    """Measure what is missing of the fixed cost, then print from which trials on it pays."""
    timings = [f"{name}_{what}" for name in ("search", "plain") for what in (FEW, MANY, "fixed")]
    results = Results("tuning_fixed", [*timings, "break_even"], fresh=fresh)
    case = f"python run.py {' '.join(QUICK)} seed=0,1,... -m, with and without tuner=grid"
    for repeat in range(repeats):
        results.measure(case, repeat, _fixed, command="scripts/bench tuning fixed")
    break_even = results.column(case, "break_even")
    rows = [
        ["search: fixed cost (s)", spread(results.column(case, "search_fixed"))],
        ["plain multirun: fixed cost (s)", spread(results.column(case, "plain_fixed"))],
        ["a plain multirun is quicker below so much training in all (s)", spread(break_even)],
        [f"… a trial of {TRIALS} (s)", spread(break_even, 1 / TRIALS)],
    ]
    show(f"{case}, {repeats} repeats", ["", "mean ± sd (range)"], rows)


def _seeds(count: int) -> str:
    return f"seed={','.join(map(str, range(count)))}"
