"""Pull a model version from an MLflow server, without MLflow: for a container's start.

    python -m serving.fetch http://mlflow:5000/digits@champion /tmp/models

What it takes to be let in: see :mod:`serving.registry`.
"""

from __future__ import annotations

import argparse
import logging
import re
import shutil
import sys
import threading
from pathlib import Path
from typing import Self

from digits.contract.files import appearing
from digits.contract.manifest import MANIFEST, ONNX, Manifest, sha256_of, verify
from digits.contract.pointer import Pointed, Pointer
from digits.errors import DigitsError, RegistryError
from serving.registry import Entry, Registry

POINTER = "pointer.json"
MANIFEST_BYTES = 1024**2
FILE_BYTES = 512 * 1024**2
FILES = 32  # that a manifest may name
ADDRESS = re.compile(r"(https?://[^@?#\s]+)/([^/:.%\"'@?#]+)(?:@([^/@?#\s]+)|/(\d+))")
SHA256 = re.compile("[0-9a-f]{64}")

log = logging.getLogger(__name__)


class Source:
    """Which model of which server.

    Args:
        server: http(s) address of an MLflow server.
        name: of the registered model.
        alias: of the version; None: ``number`` says which.
        number: of the version.
    """

    def __init__(self, server: str, name: str, *, alias: str | None, number: int | None) -> None:
        self.server, self.name, self.alias, self.number = server, name, alias, number

    @classmethod
    def of(cls, address: str) -> Self:
        """Read ``http(s)://<server>/<model>@<alias>`` or ``http(s)://<server>/<model>/<number>``.

        Raises:
            RegistryError: it is neither; the message does not repeat it.
        """
        found = ADDRESS.fullmatch(address)
        if found is None:
            raise RegistryError(
                "write the address of a model as http(s)://<server>/<model>@<alias> or "
                "http(s)://<server>/<model>/<number>; user and password belong into the "
                "environment, as MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
            )
        server, name, alias, number = found.groups()
        return cls(server, name, alias=alias, number=int(number) if number else None)

    def __str__(self) -> str:
        return f"{self.server}/{self.name}" + (
            f"@{self.alias}" if self.alias else f"/{self.number}"
        )

    def fetch(self, folder: Path) -> Pointed:
        """Bring the bundle to a folder of its own in ``folder``, every file held to its digest.

        One that is there and whole is not fetched again. For one process at a time.

        Raises:
            RegistryError: there is no such version, the server does not answer in time, what it
                has is not what was registered, or ``folder`` cannot be written.
        """
        try:
            return self._fetch(Registry(self.server), folder)
        except RegistryError as error:
            raise RegistryError(f"{self} cannot be had: {error}") from error
        except OSError as error:
            told = error.strerror or str(error)
            raise RegistryError(f"{self} cannot be kept in {folder}: {told}") from error

    def _fetch(self, registry: Registry, folder: Path) -> Pointed:
        entry = registry.version(self.name, alias=self.alias, number=self.number)
        network, whole = entry.tag("onnx_sha256") or "", entry.tag("manifest_sha256")
        if not SHA256.fullmatch(network) or not SHA256.fullmatch(whole or network):
            raise RegistryError(f"version {entry.version} was not registered by Digits: no digest")
        place = folder.absolute() / f"{self.name}-{whole or network}"
        if not _is_whole(place):
            _download(registry, entry, place)
        present = Manifest.read(place).files.get(ONNX), sha256_of(place / MANIFEST)
        if present != (network, whole or present[1]):
            shutil.rmtree(place)
            raise RegistryError(f"version {entry.version} as stored is not as it was registered")
        return Pointed(
            name=self.name,
            number=entry.version,
            folder=place,
            onnx_sha256=network,
            manifest_sha256=present[1],
            alias=self.alias,
        )

    def point(self, folder: Path) -> Path:
        """Fetch; return the pointer file in ``folder`` that says what to answer from.

        The bundle before it stays, older ones are removed.

        Raises:
            RegistryError: see :meth:`fetch`.
        """
        model, file = self.fetch(folder), folder / POINTER
        before = Pointer.read(file).champion if file.exists() else None
        if model != before:
            Pointer(champion=model).write(file)
            kept = {model.folder, before.folder if before else None}
            for old in folder.absolute().glob(f"{self.name}-*"):
                if old not in kept:
                    shutil.rmtree(old)
        return file

    def follow(self, folder: Path, seconds: float) -> threading.Event:
        """Point anew every so many seconds, in a thread of its own, until the event is set.

        What cannot be had is logged, once for each reason; the version before it stays.
        """
        stop = threading.Event()
        threading.Thread(
            target=self._follow, args=(folder, seconds, stop), daemon=True, name="fetch"
        ).start()
        return stop

    def _follow(self, folder: Path, seconds: float, stop: threading.Event) -> None:
        told = ""
        while not stop.wait(seconds):
            try:
                self.point(folder)
            except (DigitsError, OSError) as error:
                if str(error) != told:
                    log.error("%s", error)
                told = str(error)
            else:
                told = ""


def _download(registry: Registry, entry: Entry, place: Path) -> None:
    with appearing(place) as draft:
        registry.download(entry, draft / MANIFEST, MANIFEST_BYTES)
        files = Manifest.read(draft).files
        if len(files) > FILES or any(Path(name).name != name for name in files):
            raise RegistryError(f"its {MANIFEST} names files that no bundle has")
        for name in files:
            registry.download(entry, draft / name, FILE_BYTES)
        verify(draft)


def _is_whole(folder: Path) -> bool:
    try:
        verify(folder)
    except RegistryError:
        return False
    return True


def main() -> int:
    """Fetch what the command line names and print the pointer file; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m serving.fetch", description=__doc__)
    parser.add_argument("address", help="http(s)://<server>/<model>@<alias> or /<model>/<number>")
    parser.add_argument("folder", type=Path, help="that bundles and pointer are written to")
    given = parser.parse_args()
    try:
        file = Source.of(given.address).point(given.folder)
    except DigitsError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    sys.stdout.write(f"{file}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
