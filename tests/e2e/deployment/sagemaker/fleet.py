"""Containers of endpoints, started and ended as Amazon SageMaker does it.

The image by its digest, the one word serve, port 8080, the unpacked model.tar.gz at /opt/ml/model;
here also without a writable root, without any capability, and not as root.
"""

from __future__ import annotations

import io
import subprocess
import tarfile
import time
import urllib.request
import uuid
from pathlib import Path
from typing import Any

from moto.core import DEFAULT_ACCOUNT_ID as ACCOUNT
from moto.s3.models import s3_backends

from digits.deployment.engine import Engine
from digits.errors import DeploymentError

PING_SECONDS = 30.0
STOP_SECONDS = 30  # then AWS kills it
HARDENED = (
    "--read-only",
    "--tmpfs=/tmp:size=16m",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    "--pids-limit=128",
)


class Fleet:
    """The containers of endpoints.

    Args:
        engine: runs them.
        folder: for what is unpacked.
    """

    def __init__(self, engine: Engine, folder: Path) -> None:
        self._engine, self._folder = engine, folder
        self.exit_codes: list[int] = []
        self.names: dict[str, str] = {}  # endpoint -> container
        self._pulled: set[str] = set()
        self._addresses: dict[str, str] = {}  # container -> where it is reached

    def start(self, container: dict[str, Any], memory_mb: int) -> str:
        """Start a container and return its name once it answers ``GET /ping``."""
        name = f"digits-test-{uuid.uuid4().hex[:12]}"
        model = self._folder / name
        bucket, _, key = container["ModelDataUrl"].removeprefix("s3://").partition("/")
        found = s3_backends[ACCOUNT]["aws"].get_object(bucket, key)
        with tarfile.open(fileobj=io.BytesIO(found.value)) as archive:
            archive.extractall(model, filter="data")
        told = [f"--env={key}={value}" for key, value in container["Environment"].items()]
        self._engine.run("pull", "--quiet", container["Image"], seconds=120)
        self._pulled.add(container["Image"])
        self._engine.run(
            *("run", "--detach", "--name", name, "--publish=127.0.0.1::8080"),
            *(*HARDENED, f"--memory={memory_mb}m", f"--volume={model}:/opt/ml/model:ro"),
            *(*told, container["Image"], "serve"),
        )
        try:
            self._wait(name)
        except BaseException:
            self.stop(name)
            raise
        return name

    def stop(self, name: str) -> None:
        """Send SIGTERM, and SIGKILL later; keep the exit code."""
        self._engine.run("stop", f"--time={STOP_SECONDS}", name, seconds=60)
        found = self._engine.inspect("container", name)
        assert found is not None
        self.exit_codes.append(found["State"]["ExitCode"])
        self._engine.run("rm", "--force", "--volumes", name)

    def address(self, name: str) -> str:
        """Return where a container is reached."""
        if name not in self._addresses:
            found = self._engine.run("port", name, "8080/tcp").splitlines()[0]
            self._addresses[name] = f"http://{found}"
        return self._addresses[name]

    def close(self) -> None:
        """Stop what still runs, and let go of what was pulled."""
        for name in self.names.values():
            self.stop(name)
        self.names.clear()
        for image in self._pulled:
            self._engine.run("rmi", "--no-prune", image)

    def _wait(self, name: str) -> None:
        end = time.monotonic() + PING_SECONDS
        while time.monotonic() < end:
            try:
                urllib.request.urlopen(f"{self.address(name)}/ping", timeout=2).close()
            except OSError:
                time.sleep(0.1)
            except DeploymentError:  # it has ended
                break
            else:
                return
            found = self._engine.inspect("container", name)
            if found is None or not found["State"]["Running"]:
                break
        raise RuntimeError(f"The container did not pass the ping health check. {self._said(name)}")

    def _said(self, name: str) -> str:
        ended = subprocess.run(
            [self._engine.program, "logs", "--tail=5", name], capture_output=True, check=False
        )
        return (ended.stdout + ended.stderr).decode(errors="replace")
