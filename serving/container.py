"""The service in a container: ``python -m serving.container``, settings from the environment.

- ``DIGITS_MODEL``: the bundle's folder, ``/opt/ml/model`` where not given; or a version of
  an MLflow server, ``http://<server>/<model>@<alias>``, which is pulled (:mod:`serving.fetch`), and
  whose alias is looked at every ``DIGITS_MODEL_SECONDS``, 30 where not given;
- ``DIGITS_MODEL_VERSION``: its name in answers, for example ``digits/3``; without it, the beginning
  of its digest;
- ``DIGITS_MODEL_SHA256``: of its ``model.onnx``, and ``DIGITS_MODEL_MANIFEST_SHA256``: of its
  manifest, which has those of all its files; another model is then not served. Not with an alias,
  which moves to other models;
- ``DIGITS_SERVING_SETTINGS``: a file with :class:`serving.settings.Settings` as JSON;
- ``DIGITS_SERVING_<KEY>``: one value of them, ``__`` between block and key, ``null`` for none:
  ``DIGITS_SERVING_PORT=9000``, ``DIGITS_SERVING_LIMITS__RATE=50``.

It listens at every address of the container, port 8000. Files are written to the temporary folder
alone. A worker that dies ends them all: starting anew is for whoever started the container.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from digits.contract import leash, switches

if __name__ == "__main__":
    # Before all that takes time: the first process of a container is deaf to what it has no
    # handler for.
    for _number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(_number, lambda *_: sys.exit(0))

switches.apply()

from digits.contract.manifest import ONNX, Manifest  # noqa: E402
from digits.contract.pointer import Pointed, Pointer  # noqa: E402
from digits.errors import ConfigError, DigitsError, Finding, RegistryError  # noqa: E402
from serving.environment import NETWORK, WHOLE, digests_of, values_of  # noqa: E402
from serving.environment import as_environment as as_environment  # noqa: E402
from serving.listening import listen  # noqa: E402
from serving.settings import SETTINGS, Settings  # noqa: E402

MODEL, SECONDS = "DIGITS_MODEL", "DIGITS_MODEL_SECONDS"
VERSION = "DIGITS_MODEL_VERSION"
FOLDER = "/opt/ml/model"
PULLED_SECONDS, LONGEST_SECONDS = "30", 86_400
METRICS = "PROMETHEUS_MULTIPROC_DIR"


def settings_of(environment: Mapping[str, str], own: Path) -> Settings:
    """Return the settings that the environment describes.

    Args:
        environment: variables of the process.
        own: a folder to write to.

    Raises:
        ConfigError: a value is unknown, of another type or out of range; or there are digests
            with an alias.
        RegistryError: there is no model, or what was pulled is another one.
    """
    values: dict[str, Any] = {"host": "0.0.0.0", "deployment": "container"}
    if environment.get(SETTINGS):
        values |= Settings.read(Path(environment[SETTINGS])).model_dump(mode="json")
    values_of(environment, values)
    values.setdefault("pointer", _model(environment, own))
    return Settings.of(values)


def _model(environment: Mapping[str, str], own: Path) -> Path:
    """Return what names the model: its folder, or a pointer to it where more is known of it."""
    model = environment.get(MODEL) or FOLDER
    if "://" in model:
        return _pulled(model, environment, own / "models")
    folder = Path(model)
    version = environment.get(VERSION, "")
    network, whole = environment.get(NETWORK, ""), environment.get(WHOLE)
    if not version and not network and not whole:
        return folder
    name, _, number = version.rpartition("/")
    if version and not (name and number.isdecimal()):
        raise ConfigError([Finding(VERSION, f"{version} is not of the form digits/3")])
    pointed = Pointed(
        name=name,
        number=int(number) if version else None,
        folder=folder,
        onnx_sha256=network or Manifest.read(folder).files[ONNX],
        manifest_sha256=whole or None,
    )
    Pointer(champion=pointed).write(own / "pointer.json")
    return own / "pointer.json"


def _pulled(address: str, environment: Mapping[str, str], folder: Path) -> Path:
    from serving.fetch import Source

    seconds = environment.get(SECONDS) or PULLED_SECONDS
    pinned = {name: environment[name] for name in (NETWORK, WHOLE) if environment.get(name)}
    try:
        interval = float(seconds)
    except ValueError:
        interval = 0.0
    if not 1 <= interval <= LONGEST_SECONDS:
        raise ConfigError([Finding(SECONDS, f"{seconds} is no number of seconds from 1 to a day")])
    source = Source.of(address)
    if source.alias is not None and pinned:
        told = f"{MODEL} names an alias, which moves: name a number, or give no digest"
        raise ConfigError([Finding(name, told) for name in pinned])
    pointer = source.point(folder)
    pulled = digests_of(Pointer.read(pointer).champion)
    if wrong := [name for name in pinned if pinned[name] != pulled.get(name)]:
        raise RegistryError(f"{source} is another model than {' and '.join(wrong)} says")
    if source.alias is not None:
        source.follow(folder, interval)
    return pointer


def main() -> int:
    """Serve until a signal comes; return the exit code."""
    try:
        with tempfile.TemporaryDirectory(prefix="digits-") as folder:
            return _serve(Path(folder))
    except (DigitsError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return getattr(error, "exit_code", 1)


def _serve(own: Path) -> int:
    settings = settings_of(os.environ, own)
    listener = listen(settings.host, settings.port)
    if settings.workers > 1:
        return _together(settings, listener, own)
    from serving.__main__ import serve

    serve(settings, listener)
    return 0


def _together(settings: Settings, listener: socket.socket, own: Path) -> int:
    """Run the workers at one socket until a signal comes, or one of them ends."""
    file, metrics = own / "settings.json", own / "metrics"
    file.write_text(settings.model_dump_json(), encoding="utf-8")
    metrics.mkdir()
    descriptor = listener.fileno()
    command = [sys.executable, "-m", "serving", str(file), "--fd", str(descriptor), leash.SWITCH]
    workers = [
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            pass_fds=[descriptor],
            env={**os.environ, METRICS: str(metrics)},
        )
        for _ in range(settings.workers)
    ]
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
        return 1
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.wait()


if __name__ == "__main__":
    sys.exit(main())
