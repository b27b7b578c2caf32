"""A training finds its data again: kept under the digest that the run records."""

from __future__ import annotations

import pytest

from digits.data.uci import Uci
from tests.e2e.conftest import Program

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

QUICK = ["model=linear", "trainer.max_epochs=1"]


def test_training_is_repeated_on_the_digest_that_it_recorded(program: Program) -> None:
    first = program(*QUICK, "data.split_seed=3")
    assert first.returncode == 0, first.stderr
    (run,) = program.runs()
    digest = run.data.tags["digits.data_digest"]
    assert digest == Uci(split_seed=3).load().digest
    second = program(*QUICK, f"data.version={digest}")
    assert second.returncode == 0, second.stderr
    assert "data.split_seed=0 does not count" in second.stdout + second.stderr
    again = program.runs()[1]
    assert again.data.tags["digits.data_digest"] == digest
    (entry,) = again.inputs.dataset_inputs
    assert entry.dataset.digest == digest[:36]
    assert again.data.metrics["test/accuracy"] == run.data.metrics["test/accuracy"]
    # `task=data` finds the same version, and says what it was made of.
    told = program("task=data", "data.split_seed=3", "augmentation=none")
    assert told.returncode == 0, told.stderr
    assert f"preprocessed {digest[:12]}" in told.stdout
    assert told.stdout.count("kept already") == 1


@pytest.mark.parametrize(
    ("typed", "code", "message"),
    [
        ("data.version=raw:newest", 2, "version must be a digest"),
        ("compare=[raw:latest]", 2, "compare"),
        ("compare=[abcd,ef01]", 1, "compare: there is no abcd"),
    ],
)
def test_bad_input_is_one_message(program: Program, typed: str, code: int, message: str) -> None:
    done = program("task=data", typed)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False)
    assert message in done.stderr
