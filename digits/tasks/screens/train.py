"""The one screen a training ends with: what came out, where it is, what to type next."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from digits import STARTED
from digits.evaluation.metrics import Report
from digits.registry.versions import CHALLENGER, Version
from digits.tasks import commands
from digits.tracking.faults import without_password
from digits.training.export import Parity
from digits.training.fit import Fitted

# What a training may wait for its data without a word: a share of it, or so many seconds.
WAITING_SHARE, WAITING_SECONDS = 0.3, 10.0


@dataclass(frozen=True)
class Summary:
    """What the table shows; ``same`` are the overrides that name its data and store."""

    report: Report
    parity: Parity
    version: Version
    fitted: Fitted
    parameters: int
    data: str
    pictures: Path
    run_id: str
    tracking_uri: str
    same: Sequence[str] = ()

    def rows(self) -> list[tuple[str, str]]:
        """The table, as (name, value) pairs."""
        report, fitted = self.report, self.fitted
        return [
            ("data", self.data),
            (
                "accuracy",
                f"{report.accuracy:.2%} of {report.count:,} held-out digits "
                f"(95 % interval {report.low:.2%} to {report.high:.2%})",
            ),
            ("loss", f"{report.loss:.4f} nats"),
            ("calibration error", f"{report.calibration_error:.2%}"),
            (
                "training",
                f"{len(fitted.epochs)} epochs in {fitted.seconds:.1f} s, "
                f"{fitted.images / fitted.seconds:,.0f} images/s, "
                f"{fitted.waiting:.1%} of it waiting for data"
                f"{faster(fitted.waiting, fitted.seconds)}",
            ),
            ("parameters", f"{self.parameters:,}"),
            (
                "ONNX",
                f"same answer on {self.parity.count:,} digits, "
                f"logits within {self.parity.largest_difference:.1e}",
            ),
            ("model", f"{self.version} ({CHALLENGER})"),
            ("run", self.run_id),
            ("pictures", str(self.pictures)),
            ("all in all", f"{time.monotonic() - STARTED:.0f} s"),
        ]

    def next_commands(self) -> list[tuple[str, str]]:
        """(command, what it gives); each works as it stands."""
        return [
            (
                commands.run("task=evaluate", *self.same),
                "robustness, calibration, times, one page with pictures",
            ),
            (commands.run("task=explain", *self.same), "where it looks"),
            (commands.run("task=promote", *self.same), "let the gate make it the champion"),
            (commands.run("data=mnist"), "the same on 70,000 digits"),
            (commands.run("-m", "model=tiny,lenet,cnn"), "compare networks"),
            *self._where_to_look(),
        ]

    def _where_to_look(self) -> list[tuple[str, str]]:
        uri, gives = self.tracking_uri, "every run and picture"
        if uri.startswith(("http://", "https://")) or without_password(uri) != uri:
            return []  # a server has its own page, and a password is not shown
        return [(commands.tool("mlflow", "ui", "--backend-store-uri", uri), gives)]


def faster(waiting: float, seconds: float) -> str:
    """Say what helps a training that its data kept waiting: a GPU is easily that fast.

    Args:
        waiting: share of the training that waited, 0..1.
        seconds: that it took.
    """
    if waiting < WAITING_SHARE or waiting * seconds < WAITING_SECONDS:
        return ""
    return ": more loader.num_workers, or an augmentation=*_batched"
