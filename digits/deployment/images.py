"""Images of the service: built from docker/, and the same with one model version in it."""

from __future__ import annotations

import hashlib
import logging
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

from digits.deployment.engine import LAST_LINES, Engine
from digits.errors import DeploymentError

log = logging.getLogger(__name__)

ROOT = Path(__file__).parents[2]
BUILD_SECONDS = 1800.0
# docker/Dockerfile, and what it copies.
SOURCES = (
    *("docker/Dockerfile", "docker/install.py", "docker/describe.py", "docker/serve"),
    *("digits/__init__.py", "digits/errors.py", "digits/contract", "serving"),
    *("pyproject.toml", "requirements.lock"),
)


def source_digest() -> str:
    """Return the digest of all that an image is built from, but its base.

    Raises:
        DeploymentError: this is no checkout of Digits, and nothing can be built from it.
    """
    files = [ROOT / each for each in SOURCES]
    if not all(each.exists() for each in files):
        raise DeploymentError(
            f"{ROOT} is no checkout of Digits: there is nothing to build an image from. Name one "
            f"that is built already as deployment.image"
        )
    digest = hashlib.sha256()
    for place in files:
        for file in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(f"{file.relative_to(ROOT)}\0".encode())
                digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def tag_of(target: str = "service") -> str:
    """Return the name of the image that this source gives: another source, another name."""
    return f"digits-{target}:{source_digest()[:12]}"


def build(engine: Engine, target: str = "service") -> str:
    """Build a target of docker/Dockerfile under its :func:`tag_of` and return its digest.

    Raises:
        DeploymentError: it cannot be built, with the last that was said of it.
    """
    log.info("Building the image digits-%s: the first time this takes minutes", target)
    began = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-P", "-m", "scripts.build_image", target, "--no-sbom"],
        capture_output=True,
        check=False,
        cwd=ROOT,
    )
    if ended.returncode:
        said = ended.stderr.decode(errors="replace").strip().splitlines()
        told = "\n".join(said[-LAST_LINES:])
        raise DeploymentError(f"The image digits-{target} cannot be built:\n{told}")
    log.info("Built digits-%s in %.0f s", target, time.monotonic() - began)
    return _digest(engine, tag_of(target))


def add_model(engine: Engine, image: str, tag: str, bundle: Path, version: str) -> str:
    """Put a bundle into ``image`` as ``tag`` and return the digest of the new image.

    Args:
        engine: that has the image.
        image: built from docker/Dockerfile.
        tag: name of the new one.
        bundle: folder of the model version.
        version: its name in answers, for example ``digits/3``; empty: the beginning of its digest.

    Raises:
        DeploymentError: it cannot be built.
    """
    options = [f"--build-arg=IMAGE={image}", f"--build-arg=VERSION={version}"]
    run_build(engine, *options, "--tag", tag, str(bundle), file="Dockerfile.model")
    return _digest(engine, tag)


def run_build(
    engine: Engine, *options: str, file: str = "Dockerfile", screen: IO[str] | None = None
) -> None:
    """Run ``docker build`` with the engine's BuildKit.

    Args:
        engine: that builds.
        options: of the command line; the last is the build context.
        file: in docker/.
        screen: where to write what it says; None: only, at last, of a failure.

    Raises:
        DeploymentError: it failed, or took too long.
    """
    command = [engine.program, "build", "--file", str(ROOT / "docker" / file), *options]
    try:
        ended = subprocess.run(
            command,
            env={**os.environ, "DOCKER_BUILDKIT": "1", "BUILDKIT_PROGRESS": "plain"},
            stdin=subprocess.DEVNULL,
            stdout=screen or subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=BUILD_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise DeploymentError(f"docker build is given up after {BUILD_SECONDS:g} s") from error
    if ended.returncode:
        said = (ended.stdout or b"").decode(errors="replace").strip().splitlines()
        raise DeploymentError("\n".join(["docker build failed:", *said[-LAST_LINES:]]))


def _digest(engine: Engine, tag: str) -> str:
    found = engine.image_id(tag)
    if found is None:
        raise DeploymentError(f"{tag} was built and is not there: another command removed it")
    return found
