"""Environment switches that have to be set before the libraries they speak to are imported.

Every entry (run.py, the serving process, sweep workers, tests, images) calls :func:`apply` first.
A value that the user has set himself always wins.
"""

from __future__ import annotations

import os

#: name -> value; the reason stands beside each
SWITCHES: dict[str, str] = {
    "DO_NOT_TRACK": "true",  # the common opt-out: evidently, mlflow
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "RAY_USAGE_STATS_ENABLED": "0",
    "ORT_DISABLE_TELEMETRY": "1",  # onnxruntime reports by default since 1.29
    "NO_ALBUMENTATIONS_UPDATE": "1",  # asks a package index for a newer version on import
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # the default waits minutes for a dead server
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",  # a bar for each small folder
}


def apply() -> None:
    """Set each switch that the environment does not set already."""
    for name, value in SWITCHES.items():
        os.environ.setdefault(name, value)
