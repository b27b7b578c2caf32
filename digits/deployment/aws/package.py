"""A function as a zip file: libraries, our own code, a bundle; the same bytes for the same content.

The libraries are those of the lock, as wheels for AWS's system and not for this one.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from digits.contract.manifest import MANIFEST, Manifest
from digits.errors import DeploymentError

log = logging.getLogger(__name__)

Runtime = Literal["python3.11", "python3.12", "python3.13"]
Architecture = Literal["x86_64", "arm64"]

ROOT = Path(__file__).parents[3]
LOCK = ROOT / "requirements.lock"
#: what the handler imports; starlette reads forms, and is loaded for them alone
LIBRARIES = (
    "numpy",
    "onnxruntime",
    "orjson",
    "pillow",
    "pydantic",
    "python-multipart",
    "starlette",
)
#: runtime -> minor version of the glibc that AWS has under it
GLIBC = {"python3.11": 26, "python3.12": 34, "python3.13": 34}
MACHINE = {"x86_64": "x86_64", "arm64": "aarch64"}
OLDEST_GLIBC = 17
#: parts of the libraries that answering does without
WITHOUT = (
    "**/tests",
    "bin",
    "numpy/distutils",
    "numpy/f2py",
    "onnxruntime/datasets",
    "onnxruntime/quantization",
    "onnxruntime/tools",
    "onnxruntime/transformers",
)
OWN = ("digits/__init__.py", "digits/errors.py", "digits/contract/*.py", "serving/*.py")
MODEL = "model"  # where the handler looks for the bundle
MOST_BYTES = 262_144_000  # unzipped, as Lambda counts
EPOCH = (1980, 1, 1, 0, 0, 0)
INSTALL_SECONDS = 600.0
LAST_LINES = 6


class Package:
    """What the zip file of a function is made of.

    Args:
        bundle: folder of the model, verified.
        runtime, architecture: of the function.
        cache: folder where the zipped libraries are kept: they change with the lock alone.
    """

    def __init__(
        self, bundle: Path, *, runtime: Runtime, architecture: Architecture, cache: Path
    ) -> None:
        self._bundle = bundle
        self._runtime = runtime
        self._architecture = architecture
        self._cache = cache

    @property
    def key(self) -> str:
        """What it has in it as 24 hex digits, known before it is built."""
        digest = hashlib.sha256(self._libraries_key().encode())
        for name, file in self._own_files():
            digest.update(f"{name}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
        return digest.hexdigest()[:24]

    @property
    def state(self) -> str:
        """Whether it is compiled, which only a Python of the function's version can do."""
        if self._python() is None:
            return f"not compiled, as {self._runtime} is not here: starts take twice as long"
        return "compiled"

    def build(self) -> bytes:
        """Return the zip file.

        Raises:
            DeploymentError: the libraries cannot be had, or it is too large for Lambda.
        """
        libraries = self._libraries()
        with tempfile.TemporaryDirectory(prefix="digits-function-") as folder:
            file = Path(folder) / "function.zip"
            shutil.copyfile(libraries, file)
            own = Path(folder) / "own"
            for name, source in self._own_files():
                (own / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, own / name)
            self._compile(own)
            _add(file, own)
            with zipfile.ZipFile(file) as archive:
                size = sum(each.file_size for each in archive.infolist())
            if size > MOST_BYTES:
                raise DeploymentError(
                    f"The function would take {size / 1e6:.0f} MB unzipped, and Lambda takes "
                    f"{MOST_BYTES / 1e6:.0f}: type deployment.package=image"
                )
            return file.read_bytes()

    def _own_files(self) -> Iterator[tuple[str, Path]]:
        for pattern in OWN:
            for file in sorted(ROOT.glob(pattern)):
                yield file.relative_to(ROOT).as_posix(), file
        for name in sorted([MANIFEST, *Manifest.read(self._bundle).files]):
            yield f"{MODEL}/{name}", self._bundle / name

    def _libraries_key(self) -> str:
        parts = (LOCK.read_text("utf-8"), self._runtime, self._architecture, *LIBRARIES, *WITHOUT)
        told = "\n".join([*parts, self.state])
        return hashlib.sha256(told.encode()).hexdigest()[:24]

    def _libraries(self) -> Path:
        """Return the zipped libraries, fetched where they are not in the cache."""
        file = self._cache / f"{self._runtime}-{self._architecture}-{self._libraries_key()}.zip"
        if file.exists():
            return file
        self._cache.mkdir(parents=True, exist_ok=True)
        log.info("Fetching the libraries of the function (once; a minute)")
        with tempfile.TemporaryDirectory(dir=self._cache, prefix=".draft-") as draft:
            folder = Path(draft) / "libraries"
            self._install(folder)
            for pattern in WITHOUT:
                for found in list(folder.glob(pattern)):
                    shutil.rmtree(found, ignore_errors=True)
            self._compile(folder)
            zipped = Path(draft) / "libraries.zip"
            _add(zipped, folder)
            zipped.replace(file)
        return file

    def _install(self, folder: Path) -> None:
        machine = MACHINE[self._architecture]
        newest = GLIBC[self._runtime]
        platforms = [
            f"manylinux_2_{each}_{machine}" for each in range(newest, OLDEST_GLIBC - 1, -1)
        ]
        platforms.append(f"manylinux2014_{machine}")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        command += ["--target", str(folder), "--only-binary", ":all:", "--no-compile"]
        command += ["--python-version", self._runtime.removeprefix("python")]
        command += ["--implementation", "cp", "--constraint", str(LOCK)]
        command += [f"--platform={each}" for each in platforms]
        _run([*command, *LIBRARIES], f"The libraries for {self._runtime} cannot be had")

    def _python(self) -> str | None:
        """Return a Python of the function's version; None where this machine has none."""
        wanted = self._runtime.removeprefix("python")
        if wanted == f"{sys.version_info.major}.{sys.version_info.minor}":
            return sys.executable
        found = shutil.which(self._runtime)
        if found is None:
            return None
        ended = subprocess.run([found, "--version"], capture_output=True, text=True, check=False)
        return found if ended.stdout.startswith(f"Python {wanted}.") else None

    def _compile(self, folder: Path) -> None:
        """Compile, where it can be done: a function cannot, and would at each cold start."""
        python = self._python()
        if python is None:
            return
        command = [python, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
        command += ["-s", str(folder), "-p", "/var/task", str(folder)]
        _run(command, "The function cannot be compiled")


def _run(command: list[str], told: str) -> None:
    # The order of sets of texts is written into what is compiled.
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    try:
        ended = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise DeploymentError(f"{told}: given up after {INSTALL_SECONDS:g} s") from error
    if ended.returncode:
        said = "\n".join((ended.stdout + ended.stderr).strip().splitlines()[-LAST_LINES:])
        raise DeploymentError(f"{told}:\n{said}")


def _add(archive: Path, folder: Path) -> None:
    """Add all files of a folder to a zip file, with fixed times and permissions, in order."""
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_DEFLATED, compresslevel=6) as added:
        for file in sorted(each for each in folder.rglob("*") if each.is_file()):
            entry = zipfile.ZipInfo(file.relative_to(folder).as_posix(), EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            # Whoever the function runs as may read it.
            entry.external_attr = 0o100_644 << 16
            entry.create_system = 3  # Unix: permissions count
            added.writestr(entry, file.read_bytes(), compresslevel=6)
