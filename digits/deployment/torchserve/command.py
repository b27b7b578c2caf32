"""What TorchServe is told: its command, its configuration, the form of its log."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from digits.contract.files import write_atomically
from digits.contract.pointer import Pointed
from digits.deployment.torchserve.addresses import Addresses
from digits.deployment.torchserve.archive import archive_name, model_version
from digits.errors import DeploymentError, MissingExtraError
from serving.settings import Settings

CONFIG, SETTINGS, STORE, LOG_FORM = "config.properties", "settings.json", "store", "log4j2.xml"
MARK = "-Ddigits.deployment="  # on the command line of every server of ours
SPARE_BYTES = 1024 * 1024  # beyond the body that we refuse: TorchServe's own refusal has no code

#: TorchServe's own way is five files in a folder; this is one stream, as everything else here
LOGGING = """\
<Configuration status="WARN">
  <Appenders>
    <Console name="all"><PatternLayout pattern="%d %p %c{1}: %m%n"/></Console>
  </Appenders>
  <Loggers>
    <Root level="warn"><AppenderRef ref="all"/></Root>
    <Logger name="MODEL_LOG" level="info"/>
    <Logger name="MODEL_METRICS" level="off"/>
    <Logger name="TS_METRICS" level="off"/>
    <Logger name="ACCESS_LOG" level="off"/>
  </Loggers>
</Configuration>
"""


def java() -> str:
    """Return the program.

    Raises:
        DeploymentError: there is none.
    """
    home = os.environ.get("JAVA_HOME")
    found = shutil.which(f"{home}/bin/java" if home else "java")
    if found is None:
        raise DeploymentError(
            f"deployment=torchserve needs Java 11 or later; there is none "
            f"{'in JAVA_HOME' if home else 'on the PATH'}. "
            f"On Debian: apt-get install openjdk-17-jre-headless"
        )
    return found


def installed() -> Path:
    """Return the folder that the package of TorchServe lies in.

    Raises:
        MissingExtraError: it does not.
    """
    for module in ("ts", "yaml"):  # its workers need yaml, and end without telling who asks
        if importlib.util.find_spec(module) is None:
            raise MissingExtraError("torchserve", module)
    found = importlib.util.find_spec("ts")
    assert found is not None and found.origin is not None, "it has just been found"
    return Path(found.origin).parents[1]


def command(folder: Path, temporary: Path) -> list[str]:
    """Return what starts the server that ``folder`` describes.

    It is Java itself: the ``torchserve`` command allows one server on a machine, since its pid file
    lies in the temporary folder of all.

    Raises:
        DeploymentError: there is no Java.
        MissingExtraError: there is no TorchServe.
    """
    place = installed()
    return [
        java(),
        f"-Dmodel_server_home={place}",
        f"-Djava.io.tmpdir={temporary}",
        f"-Dlog4j.configurationFile=file://{folder / LOG_FORM}",
        f"{MARK}{folder}",
        "-cp",
        str(place / "ts" / "frontend" / "*"),
        "org.pytorch.serve.ModelServer",
        "--python",
        sys.executable,
        "-f",
        str(folder / CONFIG),
        "-s",
        str(folder / STORE),
        "-ncs",
    ]


def configure(
    folder: Path, model: Pointed, settings: Settings, addresses: Addresses, token_minutes: int
) -> None:
    """Write what the server reads when it starts: which version answers, above all."""
    limits = settings.limits
    grpc = [
        each.rpartition(":")[2] for each in (addresses.grpc_inference, addresses.grpc_management)
    ]
    values: Mapping[str, object] = {
        "inference_address": addresses.inference,
        "management_address": addresses.management,
        "metrics_address": addresses.metrics,
        "metrics_mode": "prometheus",
        "grpc_inference_address": "127.0.0.1",
        "grpc_inference_port": grpc[0],
        "grpc_management_address": "127.0.0.1",
        "grpc_management_port": grpc[1],
        "disable_token_authorization": "false",
        "token_expiration_min": token_minutes,
        "enable_model_api": "true",  # to register and forget versions, on the loopback alone
        "enable_envvars_config": "false",
        "allowed_urls": f"file://{folder / STORE}/.*",  # nothing is fetched from anywhere
        "install_py_dep_per_model": "false",
        "disable_system_metrics": "true",
        "number_of_gpu": 0,
        "job_queue_size": limits.in_flight,
        "decode_input_request": "false",  # the handler itself says what is wrong with a body
        "max_request_size": limits.body_bytes + SPARE_BYTES,
        "default_workers_per_model": settings.workers,
        "default_response_timeout": seconds(settings),
        "load_models": archive_name(model),
        "models": json.dumps({model.name: {model_version(model): _as_loaded(model, settings)}}),
    }
    lines = [f"{name}={value}" for name, value in values.items()]
    write_atomically(folder / CONFIG, "\n".join(lines) + "\n")


def _as_loaded(model: Pointed, settings: Settings) -> dict[str, object]:
    return {
        "defaultVersion": True,
        "marName": archive_name(model),
        "minWorkers": settings.workers,
        "maxWorkers": settings.workers,
        "batchSize": together(settings)[0],
        "maxBatchDelay": together(settings)[1],
        "responseTimeout": seconds(settings),
    }


def seconds(settings: Settings) -> int:
    """Return the time that a request may take, as TorchServe counts it: whole seconds."""
    return max(1, round(settings.limits.request_seconds))


def together(settings: Settings) -> tuple[int, int]:
    """Return the requests of a batch and the milliseconds that the first of them waits for others.

    TorchServe knows no batch of what happens to be there: without a wait each request is its own.
    """
    wait = round(settings.batching.max_wait_ms)
    return (settings.batching.max_batch, wait) if wait else (1, 1)
