"""Ray, started in the background while the driver still composes and checks."""

from __future__ import annotations

import importlib
import logging
import os
import socket
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.errors import CompactHydraException

from hydra_plugins.ray_tune_sweeper import _preload

# What has to stand before ray is imported; a value the user has set wins.
SWITCHES = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "PL_DISABLE_FORK": "1",  # Tune's own default for trials, which workers inherit this way
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # relative paths of a job mean what they mean without Tune
    "RAY_AIR_NEW_OUTPUT": "0",  # Tune's own tables
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # a notice about its next default
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # csv, json and tensorboard files of each trial
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C is ours
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",  # Tune's own state: nothing is resumed from it
    "RAY_IGNORE_UNHANDLED_ERRORS": "1",  # a stopped trial's error that nobody waits for any more
    "TUNE_WARN_INSUFFICENT_RESOURCE_THRESHOLD_S": "86400",
}
# Stack traces of trials, which are shown by their message and written to their journals.
QUIET = ("ray.tune.execution.tune_controller", "ray.tune.tune")
LOCAL = "local"
OBJECT_STORE = 100 * 2**20  # bytes; the default takes a third of the memory
ANSWER_SECONDS = 5.0
PRELOAD_SECONDS = 60.0  # what workers may take for imports before trials are started all the same


class ClusterError(CompactHydraException):
    """There is no cluster that the sweep could run on."""


class Cluster:
    """A connection to ray that is made in a thread of its own.

    Args:
        address: ``local`` for one of our own, else a cluster's (``auto`` or host:port).
        runtime_env: ray's description of what workers need.
        preload: modules that workers of a local ray import before the first trial reaches them.
        resources: of one trial.
    """

    def __init__(
        self,
        *,
        address: str,
        runtime_env: Mapping[str, Any] | None,
        preload: Sequence[str],
        resources: Mapping[str, float],
    ) -> None:
        self.address = address
        self.runtime_env = runtime_env
        self.preload = list(preload)
        self.resources = resources
        self._owned = False
        self._error: BaseException | None = None
        self._connected = threading.Event()
        self._leaving = threading.Event()
        self._thread = threading.Thread(target=self._live, name="ray", daemon=True)

    def start(self) -> None:
        """Begin to connect."""
        for name, value in SWITCHES.items():
            os.environ.setdefault(name, value)
        if self.address == LOCAL:
            # The default writes a token to the home folder; a cluster's own stays in force.
            os.environ.setdefault("RAY_AUTH_MODE", "disabled")
            _preload.arrange(self.preload, threads=max(1, int(self.resources["cpu"])))
        self._thread.start()

    def ready(self) -> None:
        """Wait until trials can be started.

        Raises:
            ClusterError: it does not answer, or a trial asks for more than it has.
        """
        self._connected.wait()
        if self._error is not None:
            cause = str(self._error).strip().split("\n")[0]
            raise ClusterError(f"ray at {self.address}: {cause}") from None
        import ray

        have = ray.cluster_resources()
        for name, resource in (("cpu", "CPU"), ("gpu", "GPU")):
            if self.resources[name] > have.get(resource, 0):
                raise ClusterError(
                    f"resources.{name}={self.resources[name]:g}: a trial asks for more than there "
                    f"is ({have.get(resource, 0):g} {resource} in the cluster)"
                )
        if self._owned and self.address == LOCAL:
            # Ray has started a worker for each core.
            _preload.wait(int(have["CPU"]), most=PRELOAD_SECONDS)

    def stop(self, *, at_once: bool = False) -> None:
        """Disconnect, and end what was started here.

        Args:
            at_once: do not wait for a connection that is still being made. Ray's processes end
                with the thread that has started them.
        """
        self._leaving.set()
        if self._connected.is_set() or not at_once:
            self._thread.join()

    def _live(self) -> None:
        """Connect and stay: ray's processes end with the thread that has started them."""
        try:
            self._connect()
        except BaseException as error:
            self._error = error
        self._connected.set()
        self._leaving.wait()
        if self._owned:
            import ray

            ray.shutdown()
            if self.address == LOCAL:
                _preload.clear()

    def _connect(self) -> None:
        self._assert_answers()
        import ray

        # Seconds, which the driver would wait for later.
        imports = threading.Thread(target=importlib.import_module, args=["ray.tune"], daemon=True)
        imports.start()
        if not ray.is_initialized():
            self._owned = True
            options: dict[str, Any] = {}
            if self.address == LOCAL:
                options = {"include_dashboard": False, "object_store_memory": OBJECT_STORE}
            ray.init(
                address=self.address,
                runtime_env=dict(self.runtime_env or {}) or None,
                log_to_driver=False,
                logging_level=logging.ERROR,
                **options,
            )
        imports.join()
        if self._owned and self.address == LOCAL:
            _preload.admit_idle_workers()
        for name in QUIET:
            logging.getLogger(name).setLevel(logging.CRITICAL)

    def _assert_answers(self) -> None:
        """Connect once: ray itself tries for minutes."""
        address = self.address
        if address == "auto":
            # What ray would join: the variable, or what the last `ray start` has left.
            last = Path(tempfile.gettempdir(), "ray", "ray_current_cluster")
            left = last.read_text(encoding="utf-8").strip() if last.is_file() else ""
            address = os.environ.get("RAY_ADDRESS") or left
            if not address:
                raise ConnectionError("no cluster is known here; start one: ray start --head")
        if address.startswith("ray://"):
            raise ConnectionError(
                "Ray Client does not carry a search; use host:port, from a host of the cluster"
            )
        host, mark, port = address.rpartition(":")
        if mark and port.isdigit():
            socket.create_connection((host, int(port)), timeout=ANSWER_SECONDS).close()
