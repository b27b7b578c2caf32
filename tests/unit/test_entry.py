"""What the entry point refuses to start."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from omegaconf import open_dict

from digits.config import resolvers
from digits.tasks import entry

CONF = Path(__file__).resolve().parents[2] / "conf"


@pytest.fixture(autouse=True)
def _undisturbed() -> Iterator[None]:
    """Leave Hydra's state and the signal handler as they were."""
    state, handler = Singleton.get_state(), signal.getsignal(signal.SIGTERM)
    yield
    Singleton.set_state(state)
    signal.signal(signal.SIGTERM, handler)


def _run(folder: Path, mode: str, *overrides: str) -> float | None:
    """Run one job as ``run.py`` would, ``mode`` RUN or MULTIRUN."""
    resolvers.register()
    typed = [f"hydra.mode={mode}", f"paths.root={folder}", f"paths.output={folder}/job"]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", [*typed, *overrides], return_hydra_config=True)
    HydraConfig.instance().set_config(config)
    with open_dict(config):
        del config["hydra"]
    return entry.run(config)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["trainer=ddp"], r"not 2: each process of trainer\.strategy=ddp would"),
        (["trainer.devices=2"], r"not 2: each process of trainer\.strategy=auto would"),
        (["trainer=gpu", "trainer.devices=[0,1]", "check_only=true"], r"not \[0, 1\]: "),
        (["trainer.devices=auto"], "not auto: "),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_sweep_of_several_processes_for_each_job_is_refused(
    tmp_path: Path, typed: list[str], words: str
) -> None:
    with pytest.raises(entry.JobFailedError, match=rf"trainer\.devices  must be 1 .*{words}"):
        _run(tmp_path, "MULTIRUN", *typed)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("mode", "typed"),
    [
        ("RUN", ["trainer=ddp"]),
        ("MULTIRUN", ["trainer=cpu"]),
        ("MULTIRUN", ["trainer=ddp", "trainer.devices=1"]),
        ("MULTIRUN", ["trainer=gpu", "trainer.devices=[1]"]),
    ],
)
def test_one_job_or_one_process_is_not(tmp_path: Path, mode: str, typed: list[str]) -> None:
    assert _run(tmp_path, mode, *typed, "check_only=true") is None
