"""An environment for each server that ours is held against: exact versions, no telemetry.

``serving_peers/NAME.txt`` holds the versions: what ``uv pip freeze`` said after a release of the
server was installed together with ``onnxruntime``, and with ``uvloop`` and ``httptools`` also where
the server itself does not ask uvicorn for them: it is faster with them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from scripts.benchmarks._results import ROOT
from scripts.benchmarks._serving_process import FailedError

APPS = Path(__file__).parent / "serving_peers"
KEPT = ROOT / "outputs" / "cache" / "peers"

#: no telemetry, one thread of arithmetic
QUIET = {
    "ORT_DISABLE_TELEMETRY": "1",
    "OMP_NUM_THREADS": "1",
    "DO_NOT_TRACK": "true",
    "BENTOML_DO_NOT_TRACK": "True",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "RAY_USAGE_STATS_ENABLED": "0",
}


def installed(name: str) -> Path:
    """Return the ``bin`` of a peer's environment, made on the first call.

    Raises:
        FailedError: something cannot be installed.
    """
    venv, wanted = KEPT / name, APPS / f"{name}.txt"
    made = venv / "installed.txt"
    if made.exists() and made.read_bytes() == wanted.read_bytes():
        return venv / "bin"
    shutil.rmtree(venv, ignore_errors=True)
    uv = [sys.executable, str(ROOT / "scripts" / "pip_settings.py"), f"{sys.prefix}/bin/uv"]
    python = str(venv / "bin" / "python")
    for step in (
        ["venv", "--python", sys.executable, str(venv)],
        ["pip", "install", "--python", python, "--requirements", str(wanted)],
    ):
        done = subprocess.run([*uv, *step], capture_output=True, text=True, check=False)
        if done.returncode:
            raise FailedError(f"cannot be installed:\n{done.stderr[-1500:]}")
    shutil.copyfile(wanted, made)
    return venv / "bin"


def run_tool(command: Sequence[object]) -> None:
    """Run a program that prepares a server.

    Raises:
        FailedError: it fails.
    """
    parts = [str(part) for part in command]
    environment = {**os.environ, **QUIET}
    done = subprocess.run(parts, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise FailedError(f"{' '.join(parts)} ended with {done.returncode}:\n{done.stderr[-1500:]}")
