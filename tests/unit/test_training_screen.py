"""What the screen after a training says of it."""

from __future__ import annotations

import pytest

from digits.tasks.screens.train import faster


@pytest.mark.parametrize(("waiting", "seconds"), [(0.1, 1000.0), (0.8, 0.2), (0.0, 0.0)])
def test_a_training_that_hardly_waited_is_told_nothing(waiting: float, seconds: float) -> None:
    assert faster(waiting, seconds) == ""


def test_a_training_that_waited_long_for_data_is_told_what_helps() -> None:
    assert "loader.num_workers" in faster(0.65, 71.0)
