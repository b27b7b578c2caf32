"""Which API keys a service of this machine was started with, told without keeping them."""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

from digits.contract.files import write_atomically
from digits.errors import DeploymentError
from serving.settings import KEYS, api_keys

FILE = "keys.sha256"
SALT_BYTES = 16


def note_keys(folder: Path) -> None:
    """Keep a salted digest of the keys in the environment, readable by our user alone."""
    salt, file = secrets.token_bytes(SALT_BYTES), folder / FILE
    write_atomically(file, f"{salt.hex()} {_digest(salt, api_keys())}\n")
    file.chmod(0o600)


def are_noted(folder: Path) -> bool:
    """Tell whether the keys in the environment are those that were noted last.

    Raises:
        DeploymentError: some were noted, and the environment says nothing of keys: to start the
            service without them would open it to everybody.
    """
    try:
        salted, known = (folder / FILE).read_text(encoding="utf-8").split()
        salt = bytes.fromhex(salted)
    except (OSError, ValueError):  # of a version of this program that noted none
        return False
    if KEYS not in os.environ and known != _digest(salt, frozenset()):
        raise lacking("The service", KEYS)
    return known == _digest(salt, api_keys())


def lacking(what: str, *names: str) -> DeploymentError:
    """Return what to say where the environment lacks secrets that a service has."""
    listed = " and ".join(names)
    return DeploymentError(
        f"{what} was started with {listed}, and here there is none: set {listed} as it was, or "
        f"anew, or to nothing to go on without"
    )


def _digest(salt: bytes, keys: frozenset[str]) -> str:
    return hashlib.sha256(salt + ",".join(sorted(keys)).encode()).hexdigest()
