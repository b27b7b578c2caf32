"""Every option of every configuration group composes, and passes the check."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from digits.config import resolvers
from digits.config.check import check
from digits.errors import ConfigError

CONF = Path(__file__).resolve().parents[2] / "conf"
LEAVES = sorted(path for path in CONF.rglob("*.yaml") if path.parent != CONF)
#: what an option cannot be composed without
NEEDS = {"data/folder": ["data.root=images"]}
#: group -> the task that has it, where that is not the default one
TASKS = {
    "acquisition": "active",
    "deployment": "deploy",
    "drift": "drift",
    "explainer": "explain",
    "gate": "promote",
    "pipeline": "pipeline",
    "serving": "serve",
}


def _name(leaf: Path) -> str:
    return leaf.relative_to(CONF).with_suffix("").as_posix()


def _compose(*overrides: str) -> DictConfig:
    resolvers.register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", [*overrides, "paths.output=somewhere"])


@pytest.mark.parametrize("leaf", LEAVES, ids=_name)
def test_option_composes_and_passes_the_check(leaf: Path) -> None:
    group, _, option = _name(leaf).rpartition("/")
    task = [f"task={TASKS[group]}"] if group in TASKS else []
    needs = NEEDS.get(_name(leaf), [])
    check(_compose(f"{group}={option}", *task, *needs), elsewhere=True)


@pytest.mark.parametrize("leaf", LEAVES, ids=_name)
def test_option_says_in_its_first_line_what_it_is_for(leaf: Path) -> None:
    lines = leaf.read_text(encoding="utf-8").splitlines()
    header = lines[1] if lines[0].startswith("# @package") else lines[0]
    assert re.fullmatch(r"# \S.{15,98}[.?]", header), header


@pytest.mark.parametrize("leaf", LEAVES, ids=_name)
def test_option_fits_on_a_screen(leaf: Path) -> None:
    values = OmegaConf.to_container(OmegaConf.load(leaf))
    lines = [line for line in leaf.read_text(encoding="utf-8").splitlines() if line.strip()]
    limit = 60 if leaf.parent.name == "task" else 40
    assert isinstance(values, dict)
    assert len(lines) <= limit


def test_data_chooses_the_recipe_that_suits_it() -> None:
    assert _compose("data=uci").trainer.max_epochs != _compose("data=mnist").trainer.max_epochs
    assert _compose("data=mnist", "trainer.max_epochs=2").trainer.max_epochs == 2


@pytest.mark.parametrize(
    ("typed", "key"),
    [
        ("trainer.max_epochs=0", "trainer.max_epochs"),
        ("trainer.limit_train_batches=0", "trainer.limit_train_batches"),
        ("+trainer.logger=true", "trainer.logger"),
        ("seed=-1", "seed"),
        ("paths.root=null", "paths.root"),
        ("paths.root='~/out'", "paths.root"),
        ("data.test_fraction=0", "data.test_fraction"),
        ("data.split_seed=-1", "data.split_seed"),
        ("loader.batch_size=1", "loader.batch_size"),
        ("model.channels=[8,8,8,8,8,8]", "model"),
        ("callbacks.checkpoint.save_top_k=-2", "callbacks.checkpoint.save_top_k"),
    ],
)
def test_what_no_training_can_use_is_found_before_it(typed: str, key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check(_compose(typed))
    assert [finding.key for finding in caught.value.findings] == [key]


def test_a_validation_part_of_all_of_mnist_is_found() -> None:
    with pytest.raises(ConfigError, match=r"data\.validation_size  must be less than 60000"):
        check(_compose("data=mnist", "data.validation_size=60000"))


@pytest.mark.parametrize("option", ["cpu", "gpu", "ddp", "debug"])
def test_no_trainer_shares_the_validation_out(option: str) -> None:
    # Lightning would take a sampler of its own where there are several processes.
    assert _compose(f"trainer={option}").trainer.use_distributed_sampler is False
