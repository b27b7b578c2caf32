"""What workers of a local Ray import in advance, and how the driver hears of it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hydra_plugins.ray_tune_sweeper import _preload


@pytest.fixture
def arranged(monkeypatch: pytest.MonkeyPatch) -> Path:
    """A driver that has arranged two harmless modules; its folder for the workers that are done."""
    monkeypatch.setattr(os, "environ", os.environ.copy())
    os.environ.pop("OMP_NUM_THREADS", None)
    monkeypatch.setattr(_preload, "OWN", "colorsys")
    _preload.arrange(["this_is_nowhere", "chunk"], threads=3)
    return Path(os.environ[_preload.DONE])


def _worker() -> str:
    """Start a worker's hook in a process of its own, and return which modules it has imported."""
    code = (
        "import sys; from hydra_plugins.ray_tune_sweeper._preload import start; start(); "
        "print(*sorted({'colorsys', 'chunk'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    return done.stdout.strip()


def test_worker_imports_up_to_what_is_missing_and_is_counted_all_the_same(arranged: Path) -> None:
    assert _worker() == "colorsys"
    assert len(list(arranged.iterdir())) == 1


def test_driver_waits_for_as_many_workers_as_it_expects(arranged: Path) -> None:
    begin = time.monotonic()
    _preload.wait(1, most=0.3)
    assert time.monotonic() - begin >= 0.3
    _worker()
    _worker()
    _preload.wait(2, most=600)  # the test's own limit is shorter


def test_worker_that_outlives_the_driver_leaves_nothing_behind(arranged: Path) -> None:
    environment = dict(os.environ)
    _preload.clear()
    assert not arranged.exists()
    os.environ.update(environment)
    _worker()
    assert not arranged.exists()


def test_threads_follow_the_cores_of_a_trial(arranged: Path) -> None:
    assert os.environ["OMP_NUM_THREADS"] == "3"
    assert os.environ[_preload.MODULES] == "colorsys,this_is_nowhere,chunk"
