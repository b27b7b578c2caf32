"""A Ray Tune trial that is a Hydra job."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from ray import tune

from hydra_plugins.ray_tune_sweeper import _journal as journal
from hydra_plugins.ray_tune_sweeper._job import Ended, Job, Recipe, adopt
from hydra_plugins.ray_tune_sweeper._manifest import FATAL, INTERRUPTED
from hydra_plugins.ray_tune_sweeper._trial import Report, Trial, TrialError

CHECKPOINT, POSITION = "checkpoint", "position.json"
FULL = "full"  # in a result: the trial has come to its own end
NO_CHECKPOINT = "this scheduler pauses trials to go on later, and the task reports no checkpoint"


@dataclass(frozen=True)
class Payload:
    """What every trial of a sweep needs to know.

    Attributes:
        recipe: makes the jobs.
        journals: folder of the trials' journals.
        metrics: the metrics that are searched by.
        worst: for each of them the value that no other is worse than.
        max_t: steps after which a trial ends as finished.
        replays: tell the scheduler of the steps that an earlier attempt has done.
        pauses: the scheduler stops trials to go on with them later, from their checkpoints.
    """

    recipe: Recipe
    journals: Path
    metrics: tuple[str, ...]
    worst: Mapping[str, float]
    max_t: int | None
    replays: bool
    pauses: bool


class HydraTrial(tune.Trainable):
    """One trial after the other, in a process that keeps its imports.

    Tune asks for steps; the task pushes reports from its thread. Steps that the journal holds
    already are given again without running anything: so a retried or resumed trial tells the
    scheduler its whole story.
    """

    def setup(self, config: dict[str, Any], payload: Payload | None = None) -> None:
        """Begin the first trial of this worker."""
        assert payload is not None  # tune.with_parameters passes it
        self.payload = payload
        adopt(payload.recipe)
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """End the job that this worker has, and begin the next trial."""
        self._leave()
        self._begin(new_config)
        return True

    def cleanup(self) -> None:
        """End the job."""
        self._leave()

    def _begin(self, config: Mapping[str, Any]) -> None:
        planned = config["trial"]
        # Not the number in ``planned``: population based training copies another trial's.
        self.number = int(self.trial_name)
        self.params = dict(planned["params"])
        self.job: Job | None = None
        self.journal = journal.Journal(self.payload.journals, self.number)
        self._claim = contextlib.ExitStack()
        self._claim.enter_context(self.journal.claimed())
        story = self.journal.read()
        # Where trials pause, one that looks pruned may only be waiting.
        over = {journal.FINISHED} if self.payload.pauses else {journal.FINISHED, journal.PRUNED}
        self.is_final = story.status in over
        self.is_full = story.status == journal.FINISHED
        self.is_open = story.status not in journal.FINAL
        self.earlier = story.seconds
        self.at = story.steps[-1]["step"] if story.steps else 0
        checkpoint = story.notes.get("checkpoint")
        self.checkpoint = Path(checkpoint) if checkpoint else None
        if self.at and not (self.checkpoint and self.checkpoint.exists()) and not self.is_final:
            self.checkpoint, self.at, story.steps = None, 0, []  # nothing to go on from: anew
        self.last: dict[str, float] = dict(story.steps[-1]["metrics"]) if story.steps else {}
        # What is not told to the scheduler again may have been changed by it since.
        self.changed = self.at > 0 and not self.payload.replays
        self.is_closed = False
        self.replay: Iterator[dict[str, Any]] = iter(story.steps if self.payload.replays else ())
        self.told = 0 if self.payload.replays else self.at
        self.is_first = True
        self.has_replayed = False

    def step(self) -> dict[str, Any]:
        """Return the next result of the trial."""
        told = next(self.replay, None)
        if told is not None:
            self.told = told["step"]
            self.has_replayed = True
            done = self.is_final and self.told == self.at
            return {**self._comparable(told["metrics"]), "done": done, FULL: done and self.is_full}
        if self.is_first and not self.payload.replays:
            self._iteration = self.at  # Tune's own count; it adds this step itself
        self.is_first = False
        if self.job is None:
            self._start()
        else:
            self.job.go_on()
        assert self.job is not None
        event = self.job.wait()
        return self._ended(event) if isinstance(event, Ended) else self._reported(event)

    def _start(self) -> None:
        self.begin = time.monotonic()
        self.journal.append(params=self.params, status=journal.RUNNING, seconds=self.earlier)
        trial = Trial(
            self.number,
            sweep=self.payload.journals.parent,
            step=self.at,
            checkpoint=self.checkpoint,
            changed=self.changed,
        )
        self.job = Job(self.payload.recipe, trial, self.params)

    def _facts(self) -> dict[str, Any]:
        assert self.job is not None
        return {
            "seconds": round(self.earlier + time.monotonic() - self.begin, 3),
            "folder": self.job.folder,
            "notes": self.job.trial.notes,
        }

    def _reported(self, report: Report) -> dict[str, Any]:
        assert self.job is not None
        missing = [name for name in self.payload.metrics if name not in report.metrics]
        if missing:
            self._fail(_unknown_metric(missing[0], list(report.metrics)), fatal=True)
        if self.payload.pauses and report.checkpoint is None:
            self._fail(TrialError(NO_CHECKPOINT), fatal=True)
        if report.checkpoint is not None:
            self.checkpoint = report.checkpoint
            self.job.trial.notes["checkpoint"] = str(report.checkpoint)
        self.at = self.told = report.step
        self.last = dict(report.metrics)
        self.journal.append(step=report.step, metrics=self.last, **self._facts())
        if self.payload.max_t is None or report.step < self.payload.max_t:
            return {**self._comparable(self.last), "done": False}
        ended = self.job.end()
        if ended.error is not None:
            self._fail(ended.error)
        self._close(journal.FINISHED)
        return {**self._comparable(self.last), "done": True, FULL: True}

    def _ended(self, ended: Ended) -> dict[str, Any]:
        if isinstance(ended.error, TrialError):
            # No fault of this trial: none could run in this sweep now.
            self._fail(ended.error, fatal=True, status=journal.INTERRUPTED)
        if ended.error is not None:
            self._fail(ended.error)
        if self.at:
            self._iteration -= 1  # Tune counts one more; this is no further step
        else:
            self.last = self._returned(ended.value)
            self.journal.append(step=1, metrics=self.last, **self._facts())
        self._close(journal.FINISHED)
        return {**self._comparable(self.last), "done": True, FULL: True}

    def _comparable(self, metrics: Mapping[str, float]) -> dict[str, float]:
        """Return metrics for Tune; in place of NaN the worst, or no rung would stop the trial."""
        worst = self.payload.worst
        return {
            name: worst[name] if name in worst and value != value else value
            for name, value in metrics.items()
        }

    def _returned(self, value: Any) -> dict[str, float]:
        """Return what a task that reports nothing has returned, under the searched metrics."""
        values = value if isinstance(value, list | tuple) else [value]
        if len(values) != len(self.payload.metrics) or not all(
            isinstance(each, int | float) for each in values
        ):
            self._fail(_unknown_metric(self.payload.metrics[0], []), fatal=True)
        return {name: float(each) for name, each in zip(self.payload.metrics, values, strict=True)}

    def _fail(
        self, error: BaseException, *, fatal: bool = False, status: str = journal.FAILED
    ) -> NoReturn:
        """End the job, write down why, and tell Tune; a fatal fault is every trial's."""
        assert self.job is not None
        if self.job.ended is None:
            self.job.end()
        message = str(error) or type(error).__name__
        interrupted = self._is_interrupted() or isinstance(error, KeyboardInterrupt)
        self._close(journal.INTERRUPTED if interrupted else status, error=message)
        self._claim.close()
        if fatal:
            (self.payload.journals.parent / FATAL).write_text(message, encoding="utf-8")
        raise TrialError(message) from None

    def _is_interrupted(self) -> bool:
        return (self.payload.journals.parent / INTERRUPTED).exists()

    def _leave(self) -> None:
        """End a job that Tune has stopped, and let the task close what it has open."""
        if self.job is not None:
            trial = self.job.trial
            if self.job.ended is None and not self.is_closed:
                trial.interrupted = self._is_interrupted()
                trial.stopped = None if trial.interrupted else self.at
                self.job.end()
                self._close(journal.INTERRUPTED if trial.interrupted else journal.PRUNED)
            self.job = None
        elif self.has_replayed and self.is_open and not self._is_interrupted():
            # Stopped by what it had done before. A trial that nothing was told of is not stopped:
            # Tune may give it to another worker that is free earlier.
            self.journal.append(status=journal.PRUNED)
        self._claim.close()

    def _close(self, status: str, **facts: Any) -> None:
        self.is_closed = True
        self.journal.append(status=status, **facts, **self._facts())

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Give Tune what a paused trial, or one that takes this one over, goes on from."""
        folder = Path(checkpoint_dir)
        if self.checkpoint is not None:
            shutil.copyfile(self.checkpoint, folder / CHECKPOINT)
        position = {"step": self.told, "number": self.number, "params": self.params}
        (folder / POSITION).write_text(json.dumps(position), encoding="utf-8")

    def load_checkpoint(self, checkpoint: str | dict[str, Any] | None) -> None:
        """Go on from a checkpoint, this trial's own or another's."""
        folder = Path(str(checkpoint))
        position = json.loads((folder / POSITION).read_text(encoding="utf-8"))
        self.told = position["step"]
        self.changed = position["number"] != self.number or position["params"] != self.params
        if self.payload.replays:
            steps = self.journal.read().steps
            self.replay = iter([each for each in steps if each["step"] > self.told])
            return
        self.at = self.told
        if (folder / CHECKPOINT).exists():
            # Tune removes its folder as soon as this returns.
            kept = self.journal.file.with_suffix(".checkpoint")
            shutil.copyfile(folder / CHECKPOINT, kept)
            self.checkpoint = kept


def _unknown_metric(name: str, known: list[str]) -> TrialError:
    if not known:
        return TrialError(f"metric {name}: the task neither reports nor returns a number")
    names = ", ".join(sorted(known))
    return TrialError(f"metric {name}: the task does not report it; it reports {names}")
