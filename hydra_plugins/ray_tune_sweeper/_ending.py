"""How a sweep ends: results written, a word to the user, and an exit code that is true."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from hydra_plugins.ray_tune_sweeper import _journal as journal
from hydra_plugins.ray_tune_sweeper._job import Recipe
from hydra_plugins.ray_tune_sweeper._manifest import FATAL, JOURNALS, PLACE
from hydra_plugins.ray_tune_sweeper._plan import Planned
from hydra_plugins.ray_tune_sweeper._results import Results
from hydra_plugins.ray_tune_sweeper._settings import Settings

SIGNALS = {"interrupted": 130, "terminated": 143}
STATUS = {None: "finished", "timeout": "timeout"} | dict.fromkeys(SIGNALS, "interrupted")


def finish(
    recipe: Recipe,
    settings: Settings,
    planned: Sequence[Planned] | None,
    reason: str | None,
    *,
    seconds: float,
) -> float | None:
    """Write the results, say how it went, and return the best value (of several: None).

    Raises:
        SystemExit: interrupted, or more trials failed than are tolerated.
    """
    stories = journal.stories(recipe.sweep / PLACE / JOURNALS)
    for each in planned or ():
        stories.setdefault(each.number, journal.Story(each.number, params=dict(each.params)))
    ordered = [stories[number] for number in sorted(stories)]
    objective = settings.objective
    Results(
        recipe.sweep,
        objective,
        ordered,
        _without(recipe.fixed, settings.search_keys),
        "failed" if reason is None and _open(ordered) else STATUS.get(reason, "failed"),
        seconds,
    ).write()
    best = objective.best(ordered)
    say(f"{_counts(ordered)} in {seconds:.0f} s · {recipe.sweep}")
    if best and reason is None and (alone := _one_by_one(ordered)) < seconds:
        say(
            f"One after the other, without Ray, these trials would have taken about "
            f"{alone:.0f} s: a plain multirun is quicker for trials this short."
        )
    _leave(ordered, settings, reason, folder=recipe.sweep)
    if not best:
        raise SystemExit("no trial has a result")
    values = objective.values(best[0])
    return values[0] if values and len(objective.metrics) == 1 else None


def _open(stories: Sequence[journal.Story]) -> list[journal.Story]:
    """Return the trials that have not ended, of themselves or by the scheduler."""
    return [story for story in stories if story.status not in journal.FINAL]


def _leave(
    stories: Sequence[journal.Story], settings: Settings, reason: str | None, *, folder: Path
) -> None:
    """Exit as what ended the sweep asks for; return if it is a success."""
    if reason == "fatal":
        raise SystemExit((folder / PLACE / FATAL).read_text(encoding="utf-8"))
    failed = [story for story in stories if story.status == journal.FAILED]
    for story in failed:
        say(f"trial {story.number} failed: {story.error} · {story.folder or 'no folder'}")
    if reason is None and _open(stories):
        reason = "failed"
        say(f"{len(_open(stories))} trials have not come to their end.")
    if reason is not None:
        again = _resume_command(folder, settings.resume_key)
        say(f"Ended early ({reason}). Go on with: {again}")
    if reason in SIGNALS:
        raise SystemExit(SIGNALS[reason])
    if reason == "stalled":
        raise SystemExit("nothing moved for too long (hydra.sweeper.stall_s)")
    if reason == "failed" and not failed:
        raise SystemExit("the sweep was not carried out to its end (cause above)")
    if len(failed) > settings.tolerate or reason == "failed":
        raise SystemExit(f"{len(failed)} of {len(stories)} trials failed")


def _without(fixed: Sequence[str], keys: Sequence[str]) -> list[str]:
    """Return the overrides of no key at or below ``keys``: they mean the same in a single run."""
    names = [re.split(r"[=.@]", each.lstrip("+~"))[0] for each in fixed]
    return [each for each, name in zip(fixed, names, strict=True) if name not in keys]


def _one_by_one(stories: Sequence[journal.Story]) -> float:
    """Estimate the seconds of a sequential multirun, in which no trial is stopped early."""
    whole = max((len(story.steps) for story in stories), default=0)
    return sum(story.seconds * whole / len(story.steps) for story in stories if story.steps)


def _counts(stories: Sequence[journal.Story]) -> str:
    counts: dict[str, int] = {}
    for story in stories:
        counts[story.status] = counts.get(story.status, 0) + 1
    return ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))


def _resume_command(folder: Path, key: str) -> str:
    """Return what was typed, with the override that goes on in ``folder``."""
    typed = [each for each in sys.argv[1:] if not each.startswith(f"{key}=")]
    place = os.path.relpath(folder) if folder.is_relative_to(Path.cwd()) else str(folder)
    at = next((i for i, each in enumerate(typed) if each.startswith("-")), len(typed))
    return shlex.join(["python", sys.argv[0], *typed[:at], f"{key}={place}", *typed[at:]])


def say(line: str) -> None:
    """Print a line for the user."""
    sys.stderr.write(line + "\n")
