"""`task=serve` and `task=deploy` as they are typed: what the check finds, and what is loaded."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hydra.utils import instantiate

from digits.errors import ConfigError
from serving.settings import Settings
from tests.integration.test_conf import _compose, check
from tests.integration.test_promote_command import HEAVY, PROBE

LIGHT = f"""
import sys
import digits.deployment.service
print("loaded:", *sorted(set(sys.modules) & {HEAVY | {"mlflow", "onnxruntime", "hydra"}!r}))
"""


@pytest.mark.parametrize("task", ["serve", "deploy"])
@pytest.mark.parametrize(
    ("typed", "key"),
    [
        ("serving.port=70000", "serving.port"),
        ("serving.workers=0", "serving.workers"),
        ("serving.workers=two", "serving.workers"),
        ("+serving.prot=1", "serving.prot"),
        ("+serving.limits.bodies=1", "serving.limits.bodies"),
        ("serving.limits.rate=0", "serving.limits.rate"),
        ("serving.batching.max_batch=0", "serving.batching.max_batch"),
        ("serving.challenger.mode=mirror", "serving.challenger.mode"),
        ("serving.challenger.percent=101", "serving.challenger.percent"),
        ("serving.traffic.queue=none", "serving.traffic.queue"),
        ("serving.log.level=loud", "serving.log.level"),
        ("serving.limits._target_=serving.settings.Log", "serving.limits"),
        ("+serving.pointer=/tmp", "serving.pointer"),
        ("+serving.deployment=mine", "serving.deployment"),
        ("watch_seconds=0", "watch_seconds"),
        ("registry.name=a/b", "registry.name"),
    ],
)
def test_what_no_service_can_use_is_found_before_it(task: str, typed: str, key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check(_compose(f"task={task}", typed))
    assert {finding.key.removesuffix("._target_") for finding in caught.value.findings} >= {key}


@pytest.mark.parametrize("typed", ["action=undo", "deployment._target_=os.system"])
def test_what_no_deployment_can_use_is_found_before_it(typed: str) -> None:
    with pytest.raises(ConfigError, match=typed.partition("=")[0]):
        check(_compose("task=deploy", typed))


def test_configuration_and_settings_have_the_same_values() -> None:
    """What ``conf/serving`` says is what is served without a word, but for the traffic store."""
    made = instantiate(_compose("task=serve", "paths.root=/r").serving)(pointer="p", deployment="d")
    said = json.loads(made.model_dump_json())
    assert said["traffic"].pop("url") == "sqlite:////r/traffic.db"
    default = json.loads(Settings(pointer=Path("p"), deployment="d").model_dump_json())
    assert default["traffic"].pop("url") is None
    assert said == default


@pytest.mark.parametrize("task", ["serve", "deploy"])
def test_neither_task_loads_torch(task: str, tmp_path: Path) -> None:
    typed = [f"task={task}", f"paths.root={tmp_path}", "check_only=true"]
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *typed], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "loaded:"


def test_supervisor_loads_no_heavy_library() -> None:
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True)
    assert done.stdout == "loaded:\n", done.stderr
