"""The main job on the UCI scans beside scikit-learn's SVC, same splits, 5 seeds."""

from __future__ import annotations

import statistics

from sklearn.svm import SVC

from digits.data.uci import Uci
from scripts.benchmarks._results import Results, arguments, run_task, show, spread


def svc(seed: int) -> dict[str, float]:
    """Fit SVC(gamma=0.001) on the original 8x8 scans of the training split."""
    scans = Uci(split_seed=seed).load_scans()
    train, test = scans.parts.train, scans.parts.test
    machine = SVC(gamma=0.001).fit(scans.features[train], scans.labels[train])
    return {"accuracy": float(machine.score(scans.features[test], scans.labels[test]))}


def ours(seed: int) -> dict[str, float]:
    """Run the main job."""
    metrics = run_task([f"seed={seed}", f"data.split_seed={seed}"])
    return {"accuracy": metrics["test/accuracy"], "fit_seconds": metrics["fit/seconds"]}


def main() -> None:
    """Measure what is missing, then print the table."""
    options = arguments(__doc__, seeds=5)
    results = Results("uci", ["accuracy", "fit_seconds"], fresh=options.fresh)
    for seed in range(options.seeds):
        results.measure("SVC(gamma=0.001), 8x8", seed, svc, command="scripts/bench uci")
        typed = [f"seed={seed}", f"data.split_seed={seed}"]
        command = f"python run.py {' '.join(typed)}"
        results.measure("python run.py", seed, ours, command=command, overrides=typed)
    cases = ("SVC(gamma=0.001), 8x8", "python run.py")
    accuracies = [results.column(case, "accuracy") for case in cases]
    differences = [mine - theirs for theirs, mine in zip(*accuracies, strict=True)]
    rows = [[case, spread(values, 100)] for case, values in zip(cases, accuracies, strict=True)]
    rows.append(["paired difference (points)", spread(differences, 100)])
    rows.append(["seconds of fit", spread(results.column("python run.py", "fit_seconds"), 1, 1)])
    show(f"UCI scans, {options.seeds} seeds", ["", "accuracy %: mean ± sd (range)"], rows)
    if statistics.mean(differences) < 0:
        raise SystemExit("the main job is behind the SVC")


if __name__ == "__main__":
    main()
