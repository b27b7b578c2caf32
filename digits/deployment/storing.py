"""Where a container keeps its predictions: in PostgreSQL, or in a folder that it may write to."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

from digits.contract.pointer import Pointer
from digits.deployment.service import note
from digits.errors import ConfigError, Finding
from serving.settings import Settings

USER = 10001  # of the images
STORE, INSIDE = "traffic.db", "/var/lib/digits"
HERE = ("localhost", "127.0.0.1", "::1")

Mounts = tuple[tuple[str, str, str], ...]


def check(settings: Settings, network: str) -> None:
    """Refuse addresses of this machine that a container takes for its own.

    Raises:
        ConfigError: there are some, each with its key.
    """
    if network == "host":
        return
    addresses = {
        "serving.traffic.url": None if _is_file(settings) else settings.traffic.url,
        "serving.features": settings.features,
        "serving.otlp": settings.otlp,
    }
    told = "is this machine's, and the container's own inside it: use deployment.network=host"
    wrong = [
        Finding(key, f"{urlsplit(url).hostname} {told}")
        for key, url in addresses.items()
        if url is not None and urlsplit(url).hostname in HERE
    ]
    if wrong:
        raise ConfigError(wrong)


def inside(settings: Settings, folder: Path) -> tuple[Settings, Mounts, str]:
    """Return settings as the container has to read them, what is mounted for it, and its user.

    A file is written by the user that owns it here: ours, or where we are root the image's own.
    """
    if not _is_file(settings):
        return settings, (), ""
    user = "" if os.getuid() == 0 else f"{os.getuid()}:{os.getgid()}"
    return _with(settings, Path(INSIDE) / STORE), ((str(folder), INSIDE, "rw"),), user


def prepare(settings: Settings, folder: Path, pointer: Pointer) -> None:
    """Make the store, and note in it what is deployed.

    Raises:
        TrafficError: it cannot be written.
    """
    if not _is_file(settings):
        note(settings, pointer)
        return
    folder.mkdir(parents=True, exist_ok=True)
    note(_with(settings, folder / STORE), pointer)
    if os.getuid() == 0:
        for each in (folder, *folder.glob(f"{STORE}*")):
            os.chown(each, USER, USER)


def override(folder: Path) -> str:
    """Return what tells other tasks of the store that a container writes to ``folder``."""
    return f"traffic.url=sqlite:///{folder / STORE}"


def _is_file(settings: Settings) -> bool:
    return settings.traffic.url is not None and settings.traffic.url.startswith("sqlite:")


def _with(settings: Settings, file: Path) -> Settings:
    traffic = settings.traffic.model_copy(update={"url": f"sqlite:///{file}"})
    return settings.model_copy(update={"traffic": traffic})
