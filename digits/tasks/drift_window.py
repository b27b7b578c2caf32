"""Judging one window, and keeping what was found."""

from __future__ import annotations

import json
import time

import numpy as np

from digits.contract.drift_history import DriftHistory, Watched
from digits.contract.files import write_atomically
from digits.monitoring import figures
from digits.monitoring.evidently_report import Columns, write_drift_report
from digits.monitoring.limits import Limits
from digits.monitoring.monitor import FEWEST, Finding, Monitor
from digits.monitoring.reference import Reference
from digits.monitoring.signals import Observer, Signals
from digits.monitoring.window import Window
from digits.registry.find import Model
from digits.tasks import commands
from digits.tasks.screens.drift import DriftSummary
from digits.tracking.record import Record
from digits.tracking.run import Run

FOLDER = "drift"
VERDICT = "drift.json"


class Watch:
    """Judges one window, and keeps what was found."""

    def __init__(
        self, record: Record, run: Run, model: Model, limits: Limits, history_url: str | None
    ) -> None:
        self.record = record
        self.run = run
        self.model = model
        self.limits = limits
        self.history_url = history_url
        self.folder = record.folder / FOLDER

    def judge(
        self, window: Window, observe: Observer, reference: Reference, monitor: Monitor
    ) -> DriftSummary:
        """Judge, draw, and keep it in the run and in the history."""
        self.folder.mkdir(exist_ok=True)
        signals = _signals(window, observe)
        if window.images is None and len(window) >= FEWEST:  # of the answers alone
            reference = reference.only(frozenset(signals.scores))
            monitor = reference.monitor(seed=self.record.seed)
        labelled = window.labelled
        answers = signals.probabilities[labelled].argmax(1)
        finding = monitor.judge(
            signals,
            false_alarms=self.limits.false_alarms,
            tolerated_loss=self.limits.tolerated_loss,
            labelled=labelled,
            right=answers == window.labels[labelled],
        )
        columns = self._draw(window, signals, finding, reference, monitor)
        history = self._keep(window, finding)
        summary = DriftSummary(
            window=window,
            model=str(self.model),
            finding=finding,
            is_drift=self.limits.is_drift(finding.status),
            columns=columns,
            lacks=observe.lacks,
            history=len(history),
            folder=self.folder,
            run_id=self.run.id,
            same=commands.same(self.record, commands.FIRST_DATA),
            traffic=commands.again(self.record, ("traffic",)),
            serving=commands.serving(self.record),
        )
        told = json.dumps(summary.facts(), indent=2, allow_nan=False) + "\n"
        write_atomically(self.record.folder / VERDICT, told)
        self.run.log_file(self.record.folder / VERDICT)
        numbers = summary.numbers()
        write_atomically(self.record.metrics_file, json.dumps(numbers, indent=2) + "\n")
        self.run.log_folder(self.folder, FOLDER)
        self.run.log_metrics(numbers)
        self.run.set_tags({"digits.drift": finding.status})
        return summary

    def _draw(
        self,
        window: Window,
        signals: Signals,
        finding: Finding,
        reference: Reference,
        monitor: Monitor,
    ) -> Columns | None:
        if finding.status == "unknown":
            return None
        budget = self.limits.false_alarms
        figures.draw_window(
            monitor, finding, signals, self.folder / "window.png", false_alarms=budget
        )
        if window.images is not None:
            figures.draw_strangest(monitor, signals, window.images, self.folder / "strangest.png")
        if not self.limits.evidently:
            return None
        return write_drift_report(
            reference.clean.signals, signals, self.folder, seed=self.record.seed
        )

    def _keep(self, window: Window, finding: Finding) -> list[Watched]:
        """Add the finding to the history of served traffic, and draw it."""
        if self.history_url is None:
            return []
        store = DriftHistory(self.history_url)
        try:
            store.add(_row(self.model, self.run.id, window, finding))
            history = store.recent()
        finally:
            store.close()
        figures.draw_history(history, self.folder / "history.png")
        return history


def _signals(window: Window, observe: Observer) -> Signals:
    if window.images is not None and len(window):
        return observe(window.images)
    if window.probabilities is not None and len(window):
        return Signals.of_answers(window.probabilities)
    return Signals.of_answers(np.zeros((0, 10), np.float32))


def _row(model: Model, run_id: str, window: Window, finding: Finding) -> Watched:
    now, known = finding.now, finding.status != "unknown"
    return Watched(
        time=time.time(),
        version=f"{model.version.name}/{model.version.number}" if model.version else "unregistered",
        run_id=run_id,
        name=window.name,
        first=window.first,
        last=window.last,
        images=finding.count,
        status=finding.status,
        chance=finding.chance if known else None,
        loudest=finding.loudest,
        foreign_share=finding.foreign if known else None,
        before=finding.before,
        accuracy=None if now is None else now.accuracy,
        low=None if now is None else now.low,
        high=None if now is None else now.high,
        labels=0 if now is None else now.labels,
    )
