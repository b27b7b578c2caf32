"""What jobs of a sweep are composed from."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import OmegaConf

from digits.config import resolvers
from hydra_plugins.ray_tune_sweeper._job import with_values

CONF = str(Path(__file__).resolve().parents[2] / "conf")


@pytest.mark.parametrize(
    "values",
    [
        ["optimizer.lr=0.003"],
        ["optimizer.lr=1e-05", "model.dropout=0.25", "loader.batch_size=32"],
        ["+trainer.fast_dev_run=true", "++seed=7"],
        ["~callbacks.checkpoint", "model.channels=[8,16]"],
    ],
)
def test_setting_values_gives_what_composing_with_them_gives(values):
    resolvers.register()
    with initialize_config_dir(CONF, version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        sweep = loader.load_configuration("config", ["tuner=asha"], RunMode.MULTIRUN)
        structure = ["model=mlp", "tuner=asha"] if "model.channels" not in str(values) else []
        base = loader.load_sweep_config(sweep, structure)
        composed = loader.load_sweep_config(sweep, [*structure, *values])
        assert OmegaConf.to_container(with_values(base, values)) == OmegaConf.to_container(composed)
        assert base.hydra.overrides.task == structure, "the copy has changed its original"


def test_what_workers_need_is_typed_as_any_other_value():
    resolvers.register()
    with initialize_config_dir(CONF, version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        typed = ["tuner=asha", "ray.runtime_env={env_vars:{MLFLOW_TRACKING_URI:http://a:5000}}"]
        sweep = loader.load_configuration("config", typed, RunMode.MULTIRUN)
        told = OmegaConf.to_container(sweep.hydra.sweeper, resolve=True)["runtime_env"]
        assert told == {"env_vars": {"MLFLOW_TRACKING_URI": "http://a:5000"}}
