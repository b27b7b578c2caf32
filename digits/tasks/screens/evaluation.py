"""The one screen an evaluation ends with: how the model did, where it is told, what next."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from digits import STARTED
from digits.evaluation.evaluation import Evaluation
from digits.evaluation.subject import Subject
from digits.tasks import commands


@dataclass(frozen=True)
class EvaluationSummary:
    """What the table shows."""

    subject: Subject
    evaluation: Evaluation
    page: Path
    evidently: Path | None
    run_id: str
    version: str
    same: Sequence[str] = ()

    def rows(self) -> list[tuple[str, str]]:
        """The table, as (name, value) pairs."""
        it, report = self.evaluation, self.evaluation.first.report
        worst, weakest = it.worst_corruption, it.worst_class
        return [
            ("model", self.subject.model),
            ("data", self.subject.data_description),
            (
                "accuracy",
                f"{report.accuracy:.2%} of {report.count:,} held-out digits "
                f"(95 % interval {report.low:.2%} to {report.high:.2%})",
            ),
            (
                "macro-F1",
                f"{report.macro_f1:.2%}; the weakest digit is {weakest.label}: "
                f"{weakest.recall:.2%} read right",
            ),
            ("loss", f"{it.calibrated.loss:.4f} nats, as trained {report.loss:.4f}"),
            (
                "calibration error",
                f"{it.calibrated.calibration_error:.2%}, as trained "
                f"{report.calibration_error:.2%} ({self._temperature()})",
            ),
            (
                "robustness",
                f"{it.mean_robustness:.2%} over 15 corruptions; worst: "
                f"{worst.replace('_', ' ')} {it.robustness[worst]:.2%}",
            ),
            (
                "one pixel aside",
                f"{it.stability.stable:.2%} keep their answer in all 8 directions",
            ),
            *self._runtimes(),
            (
                "size",
                f"{self.subject.parameters:,} parameters, "
                f"ONNX file of {self.subject.onnx_bytes / 1000:,.0f} kB",
            ),
            *(("note", note) for note in self.subject.notes),
            ("run", self.run_id),
            ("page", str(self.page)),
            *((("Evidently's", str(self.evidently)),) if self.evidently else ()),
            ("all in all", f"{time.monotonic() - STARTED:.0f} s"),
        ]

    def _temperature(self) -> str:
        if self.evaluation.temperature is None:
            return "no temperature"
        origin = "fitted here" if self.evaluation.fitted else "the model's own"
        return f"temperature {self.evaluation.temperature:.3f}, {origin}"

    def _runtimes(self) -> list[tuple[str, str]]:
        rows = [
            (
                name,
                f"one digit in {1000 * result.latency.median_seconds:.2f} ms "
                f"(95 of 100 below {1000 * result.latency.p95_seconds:.2f}), "
                f"{result.images_per_second:,.0f} digits/s in batches",
            )
            for name, result in self.evaluation.runtimes.items()
        ]
        agreement = self.evaluation.agreement
        if agreement is not None:
            told = f"{agreement.disagreements} of {agreement.count:,} answers differ"
            rows.append(("agreement", f"{told}, logits within {agreement.largest_difference:.1e}"))
        return rows

    def next_commands(self) -> list[tuple[str, str]]:
        """(command, what it gives); each works as it stands."""
        return [
            (commands.run("task=promote", *self.same), "let the gate decide on the challenger"),
            (
                commands.run("task=explain", f"version={self.version}", *self.same),
                "what it looks at",
            ),
        ]
