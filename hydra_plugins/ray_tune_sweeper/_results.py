"""What a sweep found, for people and for programs: written whole, also after an interruption."""

from __future__ import annotations

import csv
import io
import json
import math
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from hydra_plugins.ray_tune_sweeper._journal import FINISHED, PRUNED, Story
from hydra_plugins.ray_tune_sweeper._manifest import write_atomically
from hydra_plugins.ray_tune_sweeper._space import text

TRIALS = "trials.json"


@dataclass(frozen=True)
class Objective:
    """What is searched by: names, and for each whether more is better."""

    metrics: Sequence[str]
    modes: Sequence[str]

    def values(self, story: Story) -> list[float] | None:
        """Return what the trial last reported of each metric, or None."""
        if not story.steps:
            return None
        last = story.steps[-1]["metrics"]
        return [last[name] for name in self.metrics] if set(self.metrics) <= set(last) else None

    def rank(self, story: Story) -> tuple[float, ...]:
        """Return a key that sorts better trials first; finished ones before pruned ones."""
        values = self.values(story) or [float("nan")] * len(self.metrics)
        signs = [-1.0 if mode == "max" else 1.0 for mode in self.modes]
        scores = [sign * value for sign, value in zip(signs, values, strict=True)]
        order = {FINISHED: 0.0, PRUNED: 1.0}.get(story.status, 2.0)
        # NaN sorts nowhere: a trial that diverged comes after all that have a number.
        return (order, *(float("inf") if score != score else score for score in scores))

    def best(self, stories: Sequence[Story]) -> list[Story]:
        """Return the best finished trial (of pruned ones where none finished).

        With several metrics: every trial that no other beats in all of them.
        """
        known = [story for story in stories if _is_number(self.values(story))]
        ended = [story for story in known if story.status == FINISHED]
        candidates = sorted(
            ended or [story for story in known if story.status == PRUNED], key=self.rank
        )
        if len(self.metrics) == 1:
            return candidates[:1]
        return [
            story
            for story in candidates
            if not any(self._dominates(other, story) for other in candidates)
        ]

    def _dominates(self, one: Story, other: Story) -> bool:
        pairs = list(zip(self.rank(one)[1:], self.rank(other)[1:], strict=True))
        return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


def _is_number(values: Sequence[float] | None) -> bool:
    return values is not None and all(map(math.isfinite, values))


@dataclass(frozen=True)
class Results:
    """The end of a sweep.

    Attributes:
        status: finished, interrupted, timeout or failed.
        seconds: wall time of this part of the sweep.
    """

    folder: Path
    objective: Objective
    stories: Sequence[Story]
    fixed: Sequence[str]
    status: str
    seconds: float

    def write(self) -> None:
        """Write trials.json, leaderboard.csv, best.yaml and optimization_results.yaml."""
        trials = json.dumps(self._trials(), indent=1, allow_nan=False)
        write_atomically(self.folder / TRIALS, f"{trials}\n")
        write_atomically(self.folder / "leaderboard.csv", self._leaderboard())
        best = self.objective.best(self.stories)
        if not best:
            return
        entries = [self._entry(story) for story in best]
        single = len(self.objective.metrics) == 1
        content = entries[0] if single else {"pareto": entries}
        write_atomically(self.folder / "best.yaml", _yaml(content))
        write_atomically(self.folder / "optimization_results.yaml", _yaml(self._optimization(best)))

    def _trials(self) -> dict[str, Any]:
        return {
            "metric": list(self.objective.metrics),
            "mode": list(self.objective.modes),
            "status": self.status,
            "seconds": round(self.seconds, 3),
            "trials": [
                {
                    "number": story.number,
                    "status": story.status,
                    "overrides": _texts(story.params),
                    "folder": story.folder,
                    "steps": [
                        {**step, "metrics": _numbers(step["metrics"])} for step in story.steps
                    ],
                    "value": _value(self.objective.values(story)),
                    "notes": story.notes,
                    "error": story.error,
                    "seconds": story.seconds,
                }
                for story in self.stories
            ],
        }

    def _leaderboard(self) -> str:
        ranked = sorted(self.stories, key=self.objective.rank)
        keys = list(dict.fromkeys(key for story in ranked for key in story.params))
        file = io.StringIO()
        table = csv.writer(file, lineterminator="\n")
        table.writerow(
            ["rank", "job", "status", *self.objective.metrics, "steps", "seconds", *keys, "folder"]
        )
        for rank, story in enumerate(ranked, 1):
            values: Sequence[Any] = self.objective.values(story) or [""] * len(
                self.objective.metrics
            )
            texts = _texts(story.params)
            table.writerow(
                [rank, story.number, story.status, *values, len(story.steps), story.seconds]
                + [texts.get(key, "") for key in keys]
                + [story.folder or ""]
            )
        return file.getvalue()

    def _entry(self, story: Story) -> dict[str, Any]:
        overrides = [*self.fixed, *(text(key, value) for key, value in story.params.items())]
        values = self.objective.values(story) or []
        single = len(self.objective.metrics) == 1
        return {
            "metric": self.objective.metrics[0] if single else list(self.objective.metrics),
            "mode": self.objective.modes[0] if single else list(self.objective.modes),
            "value": values[0] if single else values,
            "job": story.number,
            "folder": story.folder,
            **story.notes,
            "overrides": overrides,
            "command": shlex.join(["python", sys.argv[0], *overrides]),
        }

    def _optimization(self, best: Sequence[Story]) -> dict[str, Any]:
        """Return what users of Hydra's Optuna plugin find in this file."""
        if len(self.objective.metrics) == 1:
            values = self.objective.values(best[0]) or []
            return {
                "name": "ray_tune",
                "best_params": _typed(best[0].params),
                "best_value": next(iter(values), None),
            }
        return {
            "name": "ray_tune",
            "solutions": [
                {"params": _typed(each.params), "values": self.objective.values(each)}
                for each in best
            ],
        }


def _numbers(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return what JSON can hold: no NaN, no infinity."""
    return {name: value for name, value in metrics.items() if math.isfinite(value)}


def _value(values: list[float] | None) -> list[float] | None:
    return values if values is not None and all(map(math.isfinite, values)) else None


def _typed(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return swept values as what they are; choices are kept as override text."""
    parser = OverridesParser.create()
    return {
        key: parser.parse_override(f"x={value}").value() if isinstance(value, str) else value
        for key, value in params.items()
    }


def _texts(params: Mapping[str, Any]) -> dict[str, str]:
    return {key: text("", value)[1:] for key, value in params.items()}


def _yaml(content: Mapping[str, Any]) -> str:
    return OmegaConf.to_yaml(OmegaConf.create(dict(content)))
