"""A training from the command line, done again, and what its lineage says of both."""

from __future__ import annotations

import json

import pytest

from tests.e2e.conftest import Program

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def test_a_run_is_reproduced_and_its_lineage_shows_it(program: Program) -> None:
    first = program("model=tiny", "trainer.max_epochs=1", "augmentation=affine_batched")
    assert first.returncode == 0, first.stderr
    original = program.runs()[0].info.run_id
    again = program(f"reproduce={original}")
    assert again.returncode == 0, again.stderr
    assert "equal to the last bit" in again.stdout
    typed = program(f"reproduce={original}", "optimizer.lr=1")
    assert (typed.returncode, "leave out: optimizer.lr=1" in typed.stderr) == (2, True)
    shown = program("task=lineage", f"of={original}", "json=true")
    assert shown.returncode == 0, shown.stderr
    kinds = [node["kind"] for node in json.loads(shown.stdout)["nodes"]]
    assert sorted(kinds) == [
        "model version", "preprocessed data", "training run", "training run",
    ]  # fmt: skip
