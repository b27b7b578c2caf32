"""What workers import while the driver still composes and checks; runs in every worker's start.

Ray gives trials its idle workers, but never one that has run a task, so imports cannot be made
by a task beforehand. A hook at the start of each worker can make them.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

# Ray's own variable behind ``worker_process_setup_hook``; as part of a runtime environment the
# hook would keep the workers that ray starts in advance from being used.
HOOK = "__RAY_WORKER_PROCESS_SETUP_HOOK_ENV_VAR"
MODULES = "RAY_TUNE_SWEEPER_PRELOAD"
OWN = "hydra_plugins.ray_tune_sweeper._trainable"  # imports ray.tune: seconds


def arrange(modules: Sequence[str], *, threads: int) -> None:
    """Have the workers of a local ray, which is started next, import ``modules``.

    Args:
        modules: dotted names.
        threads: cores of a trial; libraries size their thread pools when they are imported.
    """
    os.environ[MODULES] = ",".join([OWN, *modules])
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    os.environ[HOOK] = f"{__name__}.start"
    # The hook comes before ray puts the driver's path on the worker's.
    path = [str(Path(__file__).parents[2]), sys.path[0], os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, path))


def start() -> None:
    """Import what trials need, before the worker takes its first call.

    Not in a thread beside it: two threads that import the same packages can meet modules which the
    other one has only half initialised.
    """
    for name in filter(None, os.environ.get(MODULES, "").split(",")):
        try:
            importlib.import_module(name)
        except Exception:
            return  # the trial that needs the module will say so
