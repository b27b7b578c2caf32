"""`task=promote` as it is typed: what the check finds, and what a rollback loads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient

from digits.errors import ConfigError
from digits.promotion.champion import Pair, pair, promote
from digits.registry.versions import Version
from tests.integration import promoting
from tests.integration.test_conf import _compose, check

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"torch", "pytorch_lightning", "captum", "ray", "evidently", "feast", "matplotlib"}

PROBE = f"""
import runpy, sys
sys.path.insert(0, {str(ROOT)!r})
sys.argv = ["run.py", *sys.argv[1:]]
try:
    runpy.run_path({str(ROOT / "run.py")!r}, run_name="__main__")
except SystemExit as end:
    assert not end.code, end.code
print("loaded:", *sorted(set(sys.modules) & {HEAVY!r}))
"""


@pytest.mark.parametrize(
    ("typed", "key"),
    [
        ("+gate.min_acuracy=0.5", "gate.min_acuracy"),
        ("gate.min_accuracy=1.5", "gate.min_accuracy"),
        ("gate.max_accuracy_loss=-0.1", "gate.max_accuracy_loss"),
        ("gate.max_latency_ratio=0.5", "gate.max_latency_ratio"),
        ("gate.significance=0", "gate.significance"),
        ("gate.resamples=3", "gate.resamples"),
        ("gate.min_worst_class=high", "gate.min_worst_class"),
        ("gate.allow_rolled_back=perhaps", "gate.allow_rolled_back"),
        ("~gate.min_accuracy", "gate.min_accuracy"),
        ("action=undo", "action"),
        ("registry.name=a/b", "registry.name"),
    ],
)
def test_what_no_gate_can_use_is_found_before_it(typed: str, key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check(_compose("task=promote", typed))
    assert [finding.key for finding in caught.value.findings] == [key]


def test_limit_can_be_left_out() -> None:
    check(_compose("task=promote", "gate.max_latency_ms=null", "gate=strict"))


def test_strict_is_nowhere_looser_than_default() -> None:
    default, strict = (
        _compose("task=promote", f"gate={name}").gate for name in ("default", "strict")
    )
    for name, limit in strict.items():
        if name.startswith("min_"):
            assert limit >= default[name]
        elif name.startswith("max_") or "slack" in name:
            assert limit <= default[name]


def test_rollback_loads_neither_torch_nor_what_judges(store: str, tmp_path: Path) -> None:
    client = MlflowClient(tracking_uri=store, registry_uri=store)
    promoting.registered(client, 2)
    promote(client, Version("digits", 1), over=None)
    promote(client, Version("digits", 2), over=1)
    typed = ["task=promote", "action=rollback", f"paths.root={tmp_path}", f"tracking.uri={store}"]
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *typed], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "digits version 1 is the champion again" in done.stdout
    assert done.stdout.splitlines()[-1] == "loaded:"
    assert pair(client, "digits") == Pair(1, 2)
