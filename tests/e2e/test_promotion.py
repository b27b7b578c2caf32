"""From a first training to champion, rejected, rolled back: as it is typed."""

from __future__ import annotations

import pytest

from digits.promotion.champion import Pair, pair
from tests.e2e.conftest import Program

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

REJECTED = 12
QUICK = ["model=tiny", "trainer.max_epochs=3"]
# Three epochs do not make a model that the default gate would let pass.
EASY = [
    "gate.min_accuracy=0.2", "gate.min_worst_class=0", "gate.max_calibration_error=0.9",
    "gate.min_mean_corruption=0.1", "gate.min_worst_corruption=0",
    "gate.max_explanation_similarity=null", "gate.max_accuracy_loss=0.9", "gate.significance=1e-9",
]  # fmt: skip


def test_promote_reject_and_roll_back(program: Program) -> None:
    assert program(*QUICK).returncode == 0
    first = program("task=promote", *EASY)
    assert first.returncode == 0, first.stderr
    assert "no champion yet" in first.stdout
    assert pair(program.client(), "digits") == Pair(1, None)
    assert program(*QUICK, "seed=1").returncode == 0
    rejected = program("task=promote", *EASY, "gate.min_accuracy=1")
    assert rejected.returncode == REJECTED
    (line,) = [line for line in rejected.stderr.splitlines() if line.startswith("Rejected: ")]
    assert "digits version 2 is not promoted: accuracy" in line
    assert "Traceback" not in rejected.stderr
    assert pair(program.client(), "digits") == Pair(1, None)
    second = program("task=promote", *EASY, "gate.max_latency_ratio=null")
    assert second.returncode == 0, second.stderr
    assert pair(program.client(), "digits") == Pair(2, 1)
    back = program("task=promote", "action=rollback")
    assert back.returncode == 0, back.stderr
    assert pair(program.client(), "digits") == Pair(1, 2)
    statuses = {run.info.status for run in program.runs()}
    assert statuses == {"FINISHED"}
