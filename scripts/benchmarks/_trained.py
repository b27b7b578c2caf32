"""Models that a benchmark needs: trained by `run.py` once, kept for the next time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from digits.contract.manifest import verify
from digits.models.inference import Inference
from digits.tasks.trained import trained_network
from scripts.benchmarks._results import ROOT, config_digest

KEPT = ROOT / "outputs" / "cache" / "benchmarks"


def trained(overrides: Sequence[str]) -> Inference:
    """Return the network that ``python run.py`` trains with these overrides."""
    bundle = trained_bundle(overrides)
    return trained_network(bundle, verify(bundle))


def trained_bundle(overrides: Sequence[str]) -> Path:
    """Return the bundle that ``python run.py`` leaves with these overrides."""
    folder = KEPT / config_digest(overrides)
    if not list(folder.glob("runs/*/*/bundle")):
        places = [f"paths.root={folder}", f"paths.cache={ROOT}/outputs/cache"]
        command = [sys.executable, str(ROOT / "run.py"), *overrides, *places]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return sorted(folder.glob("runs/*/*/bundle"))[0]
