"""The trials of a sweep as plain data: read from ``trials.json``, ranked, averaged over seeds."""

from __future__ import annotations

import csv
import io
import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from digits.contract.files import write_atomically

TRIALS_FILE = "trials.json"
LEADERBOARD_FILE = "leaderboard.csv"
SEED = "seed"


@dataclass(frozen=True)
class Trial:
    """One job of a sweep.

    Attributes:
        number: the job's number.
        status: ``finished``, ``pruned`` (stopped early), ``failed``, ``interrupted``, ``pending``.
        overrides: swept key -> value, as text of Hydra's override grammar.
        folder: the job's folder; None before it began.
        curve: (epochs done, metric -> value), in the order of the epochs.
        values: one per metric of the sweep, in their order; None without a result.
        seconds: how long it took; None when that is not known.
        error: why it failed.
        run_id: its tracked run.
    """

    number: int
    status: str
    overrides: Mapping[str, str]
    folder: Path | None = None
    curve: Sequence[tuple[int, Mapping[str, float]]] = ()
    values: tuple[float, ...] | None = None
    seconds: float | None = None
    error: str | None = None
    run_id: str | None = None

    @property
    def epochs(self) -> int | None:
        """Epochs done; None where none was reported."""
        return self.curve[-1][0] if self.curve else None

    @property
    def counts(self) -> bool:
        """Whether it has a result that may be ranked."""
        valued = self.values is not None and all(map(math.isfinite, self.values))
        return valued and self.status in ("finished", "pruned")


@dataclass(frozen=True)
class Results:
    """What a sweep came to.

    Attributes:
        metrics: what the trials were judged by; the first one ranks them.
        modes: ``max`` or ``min`` for each metric.
        status: ``finished``, ``interrupted``, ``failed`` or ``timeout``.
        seconds: how long the sweep took; None when that is not known.
        trials: in the order of their numbers.
    """

    metrics: tuple[str, ...]
    modes: tuple[str, ...]
    status: str
    seconds: float | None
    trials: tuple[Trial, ...]

    @property
    def keys(self) -> list[str]:
        """The swept keys, in the order in which they first appear."""
        return list(dict.fromkeys(key for trial in self.trials for key in trial.overrides))

    def ranked(self) -> list[Trial]:
        """Trials with a result, the best of the first metric first; those stopped early last."""
        counting = [trial for trial in self.trials if trial.counts]
        return sorted(counting, key=lambda each: (each.status != "finished", self._losses(each)))

    def front(self) -> list[Trial]:
        """Finished trials that no other surpasses in every metric, best of the first first."""
        ranked = [trial for trial in self.ranked() if trial.status == "finished"]
        return [
            trial
            for trial in ranked
            if not any(_dominates(self._losses(other), self._losses(trial)) for other in ranked)
        ]

    def groups(self) -> list[Group]:
        """One group per configuration: its seeds where ``seed`` is swept, else single trials.

        The best mean first; groups without a result last.
        """
        found: dict[Any, list[Trial]] = {}
        for trial in self.trials:
            name = frozenset((k, v) for k, v in trial.overrides.items() if k != SEED)
            found.setdefault(name if SEED in self.keys else trial.number, []).append(trial)
        groups = [Group(tuple(trials)) for trials in found.values()]
        return sorted(groups, key=self._place)

    def _place(self, group: Group) -> tuple[bool, float]:
        means = group.means()
        if means is None:
            return True, math.inf
        finished = any(trial.status == "finished" for trial in group.trials)
        return not finished, -means[0] if self.modes[0] == "max" else means[0]

    def _losses(self, trial: Trial) -> list[float]:
        return [
            -value if mode == "max" else value
            for value, mode in zip(trial.values or (), self.modes, strict=True)
        ]


@dataclass(frozen=True)
class Group:
    """Trials of one configuration."""

    trials: tuple[Trial, ...]

    @property
    def counting(self) -> list[Trial]:
        """Those with a result."""
        return [trial for trial in self.trials if trial.counts]

    def means(self) -> tuple[float, ...] | None:
        """The mean of each metric; None without a result."""
        columns = list(zip(*(trial.values or () for trial in self.counting), strict=True))
        return tuple(map(statistics.fmean, columns)) if columns else None

    def deviations(self) -> tuple[float, ...] | None:
        """The standard deviation (n - 1) of each metric; None below two results."""
        if len(self.counting) < 2:
            return None
        columns = zip(*(trial.values or () for trial in self.counting), strict=True)
        return tuple(map(statistics.stdev, columns))


def _dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    no_worse = all(a <= b for a, b in zip(one, other, strict=True))
    return no_worse and list(one) != list(other)


def read(file: Path) -> Results:
    """Read the ``trials.json`` that a sweeper wrote."""
    content = json.loads(file.read_text(encoding="utf-8"))
    metrics = tuple(content["metric"])
    return Results(
        metrics=metrics,
        modes=tuple(content["mode"]),
        status=content["status"],
        seconds=content.get("seconds"),
        trials=tuple(
            sorted(map(_trial, content["trials"]), key=lambda trial: trial.number),
        ),
    )


def _trial(entry: Mapping[str, Any]) -> Trial:
    value = entry.get("value")
    return Trial(
        number=entry["number"],
        status=entry["status"],
        overrides={key: str(text) for key, text in entry["overrides"].items()},
        folder=Path(entry["folder"]) if entry.get("folder") else None,
        curve=tuple((step["step"], step["metrics"]) for step in entry.get("steps", ())),
        values=None if value is None else tuple(map(float, value)),
        seconds=entry.get("seconds"),
        error=entry.get("error"),
        run_id=(entry.get("notes") or {}).get("run_id"),
    )


def write_leaderboard(results: Results, file: Path) -> None:
    """Write one line per trial as CSV, the ranked ones first."""
    ranked = results.ranked()
    others = [trial for trial in results.trials if not trial.counts]
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    facts = ("epochs", "seconds", "folder", "run_id", "error")
    rows.writerow(["rank", "job", "status", *results.keys, *results.metrics, *facts])
    for place, trial in enumerate([*ranked, *others], start=1):
        swept = [trial.overrides.get(key, "") for key in results.keys]
        values = trial.values or [""] * len(results.metrics)
        rank = place if trial.counts else ""
        told = [getattr(trial, fact) for fact in facts]
        rows.writerow([rank, trial.number, trial.status, *swept, *values, *told])
    write_atomically(file, text.getvalue())
