"""`hydra/launcher=ray`: Ray is started here, quietly, before Hydra's launcher looks for it."""

from __future__ import annotations

import os
import socket
from importlib.util import find_spec
from typing import Any

from omegaconf import DictConfig, OmegaConf

from digits.errors import DigitsError, MissingExtraError
from digits.tasks.signals import heed_sigterm

PLUGIN = "hydra_plugins.hydra_ray_launcher"

ANSWER_SECONDS = 5.0

#: of a Ray that is ours alone; a value that the user has set himself wins
SWITCHES = {
    "RAY_AUTH_MODE": "disabled",  # it would write a token into the home folder
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # a warning about GPUs that a job does not ask for
}


class ClusterError(DigitsError):
    """Ray cannot be started, or the cluster does not answer."""


def start(config: DictConfig) -> None:
    """Start or join Ray, where the jobs of this multirun are launched by it.

    Raises:
        MissingExtraError: the launcher is not installed.
        ClusterError: Ray cannot be started, or the cluster does not answer.
    """
    launcher = config.hydra.launcher
    if not launcher._target_.startswith(PLUGIN):
        return
    if find_spec(PLUGIN) is None:
        raise MissingExtraError("tune", PLUGIN.partition(".")[2])
    options: dict[Any, Any] = OmegaConf.to_container(launcher.ray.init, resolve=True)  # type: ignore[assignment]
    join(options)


def join(options: dict[str, Any]) -> None:
    """Start or join Ray with these options of ``ray.init``.

    Raises:
        ClusterError: Ray cannot be started, or the cluster does not answer.
    """
    address = options.get("address")
    if address == "local":
        for name, value in SWITCHES.items():
            os.environ.setdefault(name, value)
    else:
        options.pop("object_store_memory", None)  # a running Ray refuses to be told
    import ray

    try:
        _assert_listens(str(address))
        ray.init(**options)
    except (OSError, ValueError, RuntimeError) as error:
        told = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ClusterError(f"ray.address: {address} cannot be used: {told}") from error
    heed_sigterm()  # Ray has taken it for itself


def _assert_listens(address: str) -> None:
    """Connect to the cluster's port, before Ray tries again and again for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=ANSWER_SECONDS).close()
