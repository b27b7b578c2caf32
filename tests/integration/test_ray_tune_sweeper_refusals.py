"""What a sweep refuses: one message, and nothing is left running."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.sweeper_app.runner import (
    ASHA,
    INTERVAL,
    SCHEDULERS,
    App,
    samples,
    scheduler,
)

pytest.importorskip("ray.tune")
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


@pytest.fixture
def app(tmp_path: Path):
    """The application, with everything it writes below ``tmp_path``; nothing of it stays."""
    app = App(tmp_path)
    yield app
    app.kill_all()


def assert_one_message(done, cause):
    """The command failed for one reason, and a person can read it."""
    assert done.returncode != 0, done.stdout
    assert cause in done.stdout
    assert "Traceback" not in done.stdout and "site-packages" not in done.stdout, done.stdout


BAD = {
    "grammar": (["x=interval(0,1"], "interval(0,1"),
    "unknown key": (["zz=interval(0,1)"], "zz"),
    "unknown option": (["model=a,c"], "c"),
    "empty space": ([], "search space is empty"),
    "empty interval": (["x=interval(1,0)"], "x: interval"),
    "interval of a group": (["model=interval(0,1)"], "model"),
    "no number of trials": ([INTERVAL, "hydra.sweeper.num_samples=null"], "num_samples"),
    "too many combinations": (["x=1,2,3", samples(2)], "num_samples=2"),
    "mode": ([INTERVAL, "hydra.sweeper.mode=best"], "hydra.sweeper.mode"),
    "policy": ([INTERVAL, "hydra.sweeper.on_failure=ignore"], "hydra.sweeper.on_failure"),
    "endless retries": ([INTERVAL, "hydra.sweeper.retries=-1"], "hydra.sweeper.retries"),
    "workers' needs": ([INTERVAL, "hydra.sweeper.runtime_env=5"], "hydra.sweeper.runtime_env"),
    "misspelt setting": ([INTERVAL, "hydra.sweeper.num_sample=3"], "num_sample"),
    "scheduler elsewhere": ([INTERVAL, scheduler("os.system")], "os.system"),
    "scheduler's argument": ([INTERVAL, scheduler(ASHA + ",patience:3")], "patience"),
    "metric known to be missing": ([INTERVAL, "hydra.sweeper.reports=[loss]"], "acc"),
    "metric never reported": ([INTERVAL, "hydra.sweeper.metric=f1"], "f1"),
    "nothing reported": ([INTERVAL, "report=false", "returns=false"], "acc"),
    "no checkpoints": (
        [INTERVAL, scheduler(f"{SCHEDULERS}.PopulationBasedTraining"), "checkpoint=false"],
        "checkpoint",
    ),
    "more cores than there are": (["x=1,2", "hydra.sweeper.resources.cpu=4096"], "cpu=4096"),
    "closed port": (["x=1,2", "hydra.sweeper.address=127.0.0.1:1"], "127.0.0.1:1"),
    "closed client port": (["x=1,2", "hydra.sweeper.address=ray://127.0.0.1:1"], "127.0.0.1:1"),
    "other launcher": (["x=1,2", "hydra/launcher=ray"], "launcher"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_message_and_leaves_nothing_running(app, name):
    overrides, cause = BAD[name]
    assert_one_message(app(*overrides), cause)


def test_cluster_that_is_gone_is_refused(app, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")  # where `auto` looks first
    assert_one_message(app("x=1,2", "hydra.sweeper.address=auto"), "auto")
