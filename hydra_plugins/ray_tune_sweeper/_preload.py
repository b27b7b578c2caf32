"""What workers import while the driver still composes and checks; runs in every worker's start.

Ray gives trials its idle workers, but never one that has run a task, so imports cannot be made
by a task beforehand. A hook at the start of each worker can make them.
"""

from __future__ import annotations

import gc
import importlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

# Ray's own variable behind ``worker_process_setup_hook``; as part of a runtime environment the
# hook would keep the workers that ray starts in advance from being used.
HOOK = "__RAY_WORKER_PROCESS_SETUP_HOOK_ENV_VAR"
MODULES = "RAY_TUNE_SWEEPER_PRELOAD"
DONE = "RAY_TUNE_SWEEPER_PRELOADED"  # names a folder: a file for each worker that is done
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
    os.environ[DONE] = tempfile.mkdtemp(prefix="ray-tune-sweeper-")
    # The hook comes before ray puts the driver's path on the worker's.
    path = [str(Path(__file__).parents[2]), sys.path[0], os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, path))


def admit_idle_workers() -> None:
    """Let Tune's trials have the workers that a local ray has started in advance.

    Tune asks for workers with some variables of the driver's environment, and those in advance
    have no runtime environment: ray would start new ones, which import everything again. Workers
    of a local ray inherit the driver's environment as it is.
    """
    from ray.tune.execution import class_cache

    class_cache.DEFAULT_ENV_VARS.clear()
    class_cache.ENV_VARS_TO_PROPAGATE.clear()


def wait(workers: int, *, most: float) -> None:
    """Wait until so many workers are done, or until ``most`` seconds have passed.

    A trial that is started earlier gets a new worker, whose imports compete with theirs.
    """
    folder = Path(os.environ[DONE])
    deadline = time.monotonic() + most
    while len(list(folder.iterdir())) < workers and time.monotonic() < deadline:
        time.sleep(0.02)


def clear() -> None:
    """Remove what the workers have left behind."""
    shutil.rmtree(os.environ.pop(DONE), ignore_errors=True)


def start() -> None:
    """Import what trials need, before the worker takes its first call.

    Not in a thread beside it: two threads that import the same packages can meet modules which the
    other one has only half initialised.
    """
    try:
        for name in filter(None, os.environ.get(MODULES, "").split(",")):
            importlib.import_module(name)
    except Exception:
        return  # the trial that needs the module will say so
    finally:
        gc.freeze()  # what is imported stays: the collector need not look at it in every trial
        _note_done()


def _note_done() -> None:
    folder = Path(os.environ.get(DONE, ""))
    if folder.is_dir():  # the driver has left otherwise
        (folder / str(os.getpid())).touch()
