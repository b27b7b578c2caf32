"""One hardened container of the service: its command line, and the wait until it answers."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from digits.deployment.asking import reply
from digits.deployment.engine import ANSWER_SECONDS, Engine
from digits.deployment.keys import lacking
from digits.errors import DeploymentError
from serving.container import as_environment
from serving.settings import KEYS, Settings

OWNER, ORDER = "digits.deployment", "digits.order"  # labels: the folder, the digest of the rest
PORT = 8000  # inside
SECRETS = (KEYS, "PGPASSWORD")  # handed on by name; their values are in no file and no command
LOOK_SECONDS, STATE_SECONDS = 0.03, 0.5  # between two looks at the service, and at the container
ASKED_SECONDS = 2.0
STOP_SECONDS = 5.0  # beyond the time that requests at work have
ASKED = 3  # times for each worker, to be sure that each has taken a model over


@dataclass(frozen=True)
class Container:
    """What is to run; equal digests are the same container.

    Attributes:
        name: of the container.
        network: bridge, or host: that of this machine.
        memory_mb: that it may take; more ends it.
        cpus: processors that it may take; None: all.
        image: digest of its image.
        owner: the deployment that it belongs to.
        settings: of the service; address and port are where it is published.
        environment: variables beside those of the settings.
        mounts: (folder here, folder inside, ``ro`` or ``rw``).
        user: ``uid:gid``; empty: the image's own.
    """

    name: str
    network: str
    memory_mb: int
    cpus: float | None
    image: str
    owner: str
    settings: Settings
    environment: Mapping[str, str]
    mounts: tuple[tuple[str, str, str], ...]
    user: str

    @property
    def digest(self) -> str:
        """Return what tells it from another; the id of the deployment is new each time."""
        content = asdict(self) | {"settings": self.settings.model_dump(mode="json")}
        content["settings"].pop("deployment")
        content["secrets"] = [os.environ.get(name) for name in SECRETS]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def command(self) -> list[str]:
        """Return the arguments of ``docker`` that start it."""
        settings = self.settings
        inside = {
            **as_environment(settings),
            **self.environment,
            "DIGITS_SERVING_HOST": settings.host if self.network == "host" else "0.0.0.0",
            "DIGITS_SERVING_PORT": str(settings.port if self.network == "host" else PORT),
        }
        environment = [f"{name}={value}" for name, value in inside.items()]
        environment += [name for name in SECRETS if os.environ.get(name)]
        options = [
            *("run", "--detach", "--name", self.name, "--restart", "unless-stopped"),
            *("--label", f"{OWNER}={self.owner}", "--label", f"{ORDER}={self.digest}"),
            *("--read-only", "--tmpfs", "/tmp:size=256m,mode=1777", "--cap-drop", "ALL"),
            *("--security-opt", "no-new-privileges"),
            *("--pids-limit", str(64 + 64 * settings.workers), "--memory", f"{self.memory_mb}m"),
            *("--log-opt", "max-size=10m", "--log-opt", "max-file=3"),
            *("--stop-timeout", str(int(settings.limits.drain_seconds + STOP_SECONDS))),
            *("--network", self.network),
        ]
        if self.network != "host":
            host = f"[{settings.host}]" if ":" in settings.host else settings.host
            options += ["--publish", f"{host}:{settings.port or ''}:{PORT}"]
        if self.cpus is not None:
            options += ["--cpus", f"{self.cpus:g}"]
        if self.user:
            options += ["--user", self.user]
        for here, there, mode in self.mounts:
            options += ["--volume", f"{here}:{there}:{mode}"]
        for each in environment:
            options += ["--env", each]
        return [*options, self.image]


def address(found: Mapping[str, Any]) -> str:
    """Return where a running container is reached, by what the engine says of it.

    Raises:
        DeploymentError: it is published nowhere.
    """
    if found["HostConfig"]["NetworkMode"] == "host":
        inside = dict(each.partition("=")[::2] for each in found["Config"]["Env"])
        host, port = inside["DIGITS_SERVING_HOST"], inside["DIGITS_SERVING_PORT"]
    else:
        published = (found["NetworkSettings"]["Ports"] or {}).get(f"{PORT}/tcp")
        if not published:
            raise DeploymentError(f"The container {found['Name'].lstrip('/')} does not run")
        host, port = published[0]["HostIp"], published[0]["HostPort"]
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host) or host
    return f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"


def check_secrets(found: Mapping[str, Any]) -> None:
    """Let no container take the place of this one without a secret that this one has.

    Raises:
        DeploymentError: the environment here says nothing of one, not even that it is empty.
    """
    given = {each.partition("=")[0] for each in found["Config"]["Env"] or ()}
    missing = [name for name in SECRETS if name in given and name not in os.environ]
    if missing:
        raise lacking(f"The container {found['Name'].lstrip('/')}", *missing)


def published(found: Mapping[str, Any]) -> int | None:
    """Return the port of this machine that a container has; None: it has none."""
    try:
        return urlsplit(address(found)).port
    except DeploymentError:
        return None


def start(engine: Engine, container: Container, seconds: float) -> None:
    """Start it and wait until it answers; of one that does not, nothing is left.

    Raises:
        DeploymentError: it ends at once, or does not answer in time; with the last that it said.
    """
    end = time.monotonic() + seconds
    try:
        engine.run(*container.command(), seconds=max(seconds, ANSWER_SECONDS))
        if not _answers(engine, container.name, end):
            raise DeploymentError(
                f"The container {container.name} does not answer after {seconds:g} s "
                f"(deployment.wait_seconds):\n{engine.logs(container.name)}"
            )
    except BaseException:
        remove(engine, container.name)
        raise


def _answers(engine: Engine, name: str, end: float) -> bool:
    """Wait until it does, or until ``end`` (``time.monotonic()``)."""
    reached, looked = "", 0.0
    while time.monotonic() < end:
        if time.monotonic() > looked + STATE_SECONDS:
            looked = time.monotonic()
            found = engine.inspect("container", name)
            if found is None or found["RestartCount"] or not found["State"]["Running"]:
                raise DeploymentError(f"The container {name} does not start:\n{engine.logs(name)}")
            reached = address(found)
        if version(reached):
            return True
        time.sleep(LOOK_SECONDS)
    return False


def version(reached: str) -> str | None:
    """Return the version that answers at this address; None: nobody does yet."""
    try:
        found = reply(f"{reached}/v1/model", seconds=ASKED_SECONDS)
    except DeploymentError:
        return None
    return str(found.content["version"]) if "version" in found.content else None


def swap(
    engine: Engine, found: Mapping[str, Any], wanted: str, settings: Settings, seconds: float
) -> None:
    """Wait until every worker of a running container has taken a version over.

    Raises:
        DeploymentError: one has not in time.
    """
    reached, end, right = address(found), time.monotonic() + seconds, 0
    while right < ASKED * settings.workers:
        if time.monotonic() > end:
            raise DeploymentError(
                f"{wanted} has not taken over after {seconds:g} s (deployment.wait_seconds):\n"
                f"{engine.logs(found['Name'].lstrip('/'))}"
            )
        right = right + 1 if version(reached) == wanted else 0
        if not right:
            time.sleep(LOOK_SECONDS)


def stop(engine: Engine, name: str, settings: Settings) -> None:
    """Let the requests at work finish, and end it; it can be started again."""
    seconds = settings.limits.drain_seconds + STOP_SECONDS
    engine.run("stop", "--time", str(int(seconds)), name, seconds=seconds + ASKED_SECONDS)


def remove(engine: Engine, name: str) -> None:
    """Remove it, running or not; missing is fine."""
    if engine.inspect("container", name) is not None:
        engine.run("rm", "--force", "--volumes", name)
