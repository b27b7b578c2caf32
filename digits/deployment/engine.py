"""The Docker engine, through its own command line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Literal

from digits.errors import DeploymentError

# Debian's first: it builds with the engine's BuildKit, where a newer client wants a plugin for it.
PROGRAMS = ("/usr/bin/docker", "docker")
ANSWER_SECONDS = 30.0
LAST_LINES = 8  # of what a failed command has said

Kind = Literal["container", "image", "network", "volume"]


class Engine:
    """A Docker engine that has answered.

    Args:
        program: its command-line client.
    """

    def __init__(self, program: str) -> None:
        self.program = program

    @classmethod
    def find(cls) -> Engine:
        """Return the engine of this machine, or that of ``DOCKER_HOST``.

        Raises:
            DeploymentError: there is no client, or nobody answers it.
        """
        program = next(filter(None, map(shutil.which, PROGRAMS)), None)
        if program is None:
            raise DeploymentError(
                "There is no Docker on this machine: install it, or type scripts/engine (Debian)"
            )
        engine = cls(program)
        try:
            engine.run("version", "--format", "{{.Server.Version}}")
        except DeploymentError as error:
            raise DeploymentError(
                f"No Docker engine answers: start it, or type scripts/engine (Debian). {error}"
            ) from error
        return engine

    def run(
        self,
        *arguments: str,
        seconds: float = ANSWER_SECONDS,
        stdin: IO[bytes] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> str:
        """Run ``docker`` with ``arguments`` and return what it wrote, without the last newline.

        Args:
            arguments: of the command line.
            seconds: until it is given up.
            stdin: what it reads; None: nothing.
            environment: variables beside our own.

        Raises:
            DeploymentError: it failed, with the last that it said; or it took longer.
        """
        told = f"docker {' '.join(arguments[:2])}"
        try:
            ended = subprocess.run(
                [self.program, *arguments],
                stdin=subprocess.DEVNULL if stdin is None else stdin,
                capture_output=True,
                timeout=seconds,
                env={**os.environ, **(environment or {})},
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise DeploymentError(f"{told} is given up after {seconds:g} s") from error
        if ended.returncode:
            said = ended.stderr.decode(errors="replace").strip() or f"exit code {ended.returncode}"
            last = "\n".join(said.splitlines()[-LAST_LINES:])
            raise DeploymentError(f"{told}: {last}")
        return ended.stdout.decode(errors="replace").rstrip("\n")

    def inspect(self, kind: Kind, name: str) -> dict[str, Any] | None:
        """Return what the engine says of one thing; None where there is none of this name.

        Raises:
            DeploymentError: the engine does not answer.
        """
        try:
            found = json.loads(self.run(kind, "inspect", name))
        except DeploymentError as error:
            if "no such" in str(error).lower():
                return None
            raise
        return found[0]

    def logs(self, container: str) -> str:
        """Return the last lines that a container has written, or that they cannot be had."""
        try:
            ended = subprocess.run(
                [self.program, "logs", "--tail", str(LAST_LINES), container],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=ANSWER_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"(docker logs is given up after {ANSWER_SECONDS:g} s)"
        return ended.stdout.decode(errors="replace").strip()

    def image_id(self, name: str) -> str | None:
        """Return the digest of a local image; None where there is none of this name."""
        found = self.inspect("image", name)
        return None if found is None else found["Id"]

    def remove_image(self, name: str) -> bool:
        """Take the name from an image, and remove what has no other; missing is fine.

        Return False, and leave it, where a container is made of it or of one built on it.
        """
        if self.image_id(name) is None:
            return True
        if self.run("ps", "--all", "--quiet", "--filter", f"ancestor={name}"):
            return False
        self.run("rmi", "--force", name)
        return True

    def load_folder(self, folder: Path, image: str, *, seconds: float = 300.0) -> None:
        """Make an image of nothing but the files in ``folder``, for ``COPY --from``.

        Raises:
            DeploymentError: it cannot be made.
        """
        command = ["tar", "--create", "--directory", str(folder), "."]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as tar:
            self.run("import", "-", image, seconds=seconds, stdin=tar.stdout)
        if tar.returncode:
            raise DeploymentError(f"{folder} cannot be read")
